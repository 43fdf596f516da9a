"""RabbitMQ through pika: connection parameters, an honest probe, translated errors.

probe.probe(url, timeout=10.0) -> BrokerInfo     opens a connection and a channel
errors.translated(url)                           pika's errors -> UpstreamError and its kin
parameters.parameters(url, timeout=10.0)         the deadlines every connection gets
parameters.with_password(url, password)          an address completed with its secret
"""
