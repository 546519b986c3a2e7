"""Evaluations that tell what they do: traces, coverage, profiles. Never what decides; serving imports none of this."""
