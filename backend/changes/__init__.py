"""Change control: policies per environment, change requests, approvals; one engine for all jobs.

A service calls `gate.check` with what it is about to do, once, right before its first write. The
policy of the environment decides: it returns and the work goes on, or a change request is filed
and `Waiting` is raised. An approved request is carried out by calling the very same service again
with the frozen parameters; `gate.check` then compares what it is about to do with what was
approved, and marks the request as begun in the transaction that begins the work.
"""
