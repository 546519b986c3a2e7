"""Keeping what decides up to date: policy directories today; one poller, one watcher, one activator."""
