"""What people ask for: submitted changes, their review and their batches."""
