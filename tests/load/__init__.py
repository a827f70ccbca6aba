"""Several daemons and many submitters on one queue, and how long an approved change takes to land."""
