"""AWS through boto3: Lambda, Step Functions, CloudWatch Logs and STS, with errors as sentences.

What other packages use: `config` (settings and credentials of a connection), `probe`, `gateway`
(starts are sent at most once, client retries are off for them; only reads retry). Everything
imports boto3 lazily; import the modules, not this package. The region is the connection's, else
DATAHUB_INGESTION_LAMBDA_REGION, AWS_REGION or AWS_DEFAULT_REGION, else that of boto3's profile.

Errors (all of backend.core.errors; `system` is "AWS Lambda", "AWS Step Functions", …):
AwsRefused (UpstreamError 502), AwsThrottled (503), UpstreamUnavailable (503, not reached),
UpstreamTimeout (504, a read), OutcomeUnknown (504, a start whose answer never came).
"""
