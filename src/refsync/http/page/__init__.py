"""The page, for people who would rather look than read: a module a screen, which asks the questions of ``/api``."""
