"""AWS through boto3: Lambda, Step Functions, CloudWatch Logs and STS, with errors as sentences.

What other rooms use (everything imports boto3 lazily; import the modules, not this package):

    from backend.integrations.aws.config import AwsConfig, from_connection
    config = from_connection(settings, secrets, default_region="")      # mappings of strings
        settings: region, endpoint_url, access_key_id, role_arn — all optional; nothing at all is
        boto3's own chain (environment, profile, instance role). secrets: secret_access_key.
        Region order: the connection's `region`, DATAHUB_INGESTION_LAMBDA_REGION, AWS_REGION,
        AWS_DEFAULT_REGION (one setting, pass it as default_region), then boto3's profile.

    from backend.integrations.aws.probe import Target, probe
    probe(config, targets=[Target("lambda", "earnings-lambda")], deadline=10.0) -> ProbeResult
        ProbeResult(ok, account, arn, region, latency_ms, cause, advice, targets=[TargetResult]).
        Caller identity, then per target a DryRun (Lambda) or DescribeStateMachine. Never raises
        for what AWS says; cause and advice are one sentence each.

    from backend.integrations.aws.gateway import Gateway
    Gateway(config).start_lambda / start_execution / check_target / describe_execution / …
        starts are sent at most once (client retries off); only reads retry.

    from backend.sandbox.aws import AwsStandIn
    with AwsStandIn(port=0) as aws: aws.url, aws.seed(...), aws.faults.add(...)
        moto's server on loopback, plus what moto leaves out (log lines of an asynchronous
        invocation) and faults on demand. `settings()` and `secrets()` are a connection's values.

Errors (all of backend.core.errors; `system` is "AWS Lambda", "AWS Step Functions", …):
AwsRefused (UpstreamError 502), AwsThrottled (503), UpstreamUnavailable (503, not reached),
UpstreamTimeout (504, a read), OutcomeUnknown (504, a start whose answer never came).
"""
