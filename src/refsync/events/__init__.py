"""Events that go out to where people talk: what is news, the outbox that it is kept in, and its senders."""
