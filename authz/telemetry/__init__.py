"""What operators see: metrics, event-loop lag, logs. Decides nothing and is told everything."""
