"""DataHub through its official SDK: one adapter, one error language, one stand-in server.

    from backend.integrations.datahub.client import DataHubClient
    from backend.integrations.datahub import schemas, urns
    from backend.sandbox.datahub import StandIn

Nothing here imports the SDK until a `DataHubClient` sends its first request (2 s, once a process).

The adapter
-----------
DataHubClient(server, token, *, frontend_url=None, timeout=10.0)   also a context manager; .close()

Every method has a deadline of `timeout` seconds for the whole of one request, retries included
(only reads are retried, once) and raises the errors of `backend.core.errors` only:
UpstreamError, UpstreamUnavailable, UpstreamTimeout, OutcomeUnknown (a write without an answer),
NotFound, each with .system "DataHub", .cause, .advice. No message ever contains the token.

Reads
    probe() -> Probe                     /config and one authenticated read
    client_info() -> ClientInfo          client_id ("MISSING_SERVER_ID" when absent), server_id, …
    exists(urn) -> bool
    dataset(urn) -> Dataset              NotFound when DataHub does not know it
    search_datasets(query="*", *, start=0, count=20) -> SearchPage
    datasets_with_tag(tag_urn, *, limit=1000, page_size=100) -> Iterator[str]   dataset URNs; the
                                         tag on the dataset or on one of its fields
    data_job_structured_property(job_urn, property_urn) -> tuple[str | float, ...]   () when unset
    make_url(urn) -> str | None          its page in DataHub's UI; None without a frontend address

Writes (patches, never whole aspects; read first, write only what differs, read back and compare)
    ensure_tag(tag_urn, *, name=None, description="") -> bool       True when it was created
    patch_dataset(urn, DatasetPatch(...)) -> Dataset                everything below in one batch
    patch_dataset_tags(urn, *, add=(), remove=()) -> Dataset
    patch_field_tags(urn, *, add={field: [tag, …]}, remove={field: [tag, …]}) -> Dataset
    set_custom_property(urn, key, value) -> Dataset                 value None removes it
    set_editable_description(urn, text) -> Dataset                  the whole new text
    add_link(urn, url, label) -> Dataset                            keyed by (url, label)
    remove_link(urn, url, label=None) -> Dataset                    other links stay

Ingestion in DataHub
    list_ingestion_sources(*, start=0, count=20, query="*") -> IngestionSourcePage
    ingestion_source(source_urn) -> SourceWithRecipe
    create_execution_request(source_urn) -> str                     the request's URN
    execution_request(urn) -> ExecutionRequest
    cancel_execution_request(source_urn, request_urn) -> None

A run of the portal's own (`process_runs`)
    report_run(ProcessRun(...)) -> str                              its URN; may be repeated

Shapes (`schemas`, frozen dataclasses)
    Probe(server_version, server_config, user_urn)
    ClientInfo(client_id, server_id, frontend_base_url, server_config)
    Dataset(urn, name, platform, origin, removed, description, editable_description,
            custom_properties: dict, tags: tuple[str, …], fields: tuple[Field, …],
            links: tuple[Link, …], structured_properties: dict[str, tuple[str | float, …]])
        .field(path) -> Field | None   .field_tags -> dict[path, tuple[tag, …]]
    Field(path, type, native_type, nullable, description, editable_description,
          ingested_tags, editable_tags)   .tags = both, no duplicates
    Link(url, label, created_at, created_by)
    SearchPage(start, count, total, items: tuple[DatasetHit, …])
    DatasetHit(urn, name, platform, description, tags)
    DatasetPatch(add_tags=(), remove_tags=(), add_field_tags={}, remove_field_tags={},
                 custom_properties={key: text | None}, editable_description=None)
    IngestionSource(urn, name, type, schedule, executor_id, last_execution: ExecutionRequest | None)
    SourceWithRecipe(source: IngestionSource, recipe, version, debug, extra)
    ExecutionRequest(urn, task, requested_at, status, started_at, duration_ms, report)
        .status: "PENDING" until an executor takes it, then DataHub's own word

Tags are full URNs ("urn:li:tag:tokenize/run") everywhere.

URNs (`urns`, pure, no SDK)
    parse_dataset(urn) -> DatasetUrn(platform, name, origin)   InvalidInput when it is not one
    parse_data_job(urn) -> DataJobUrn(flow, job_id)
    is_valid(urn) -> bool

The stand-in
------------
with StandIn(port=0, token="…", state_file=None, index_lag_seconds=0.0) as gms:
    gms.url, gms.token               a GMS address for DataHubClient, DataHubGraph, `datahub` CLI
    gms.store.upsert(urn, aspect, value_dict)       seed; fires events like any write
    gms.seed_dataset(urn, fields={"email": "varchar(255)"}, description=…, tags=[…],
                     field_tags={…}, custom_properties={…}, links=[(url, label)])
    gms.seed_tag(urn, description="")               gms.seed_data_job(urn, structured={…})
    gms.seed_ingestion_source(name, type) -> urn
    gms.aspect(urn, "globalTags") -> dict | None    what is stored
    gms.add_token("secret", actor="urn:li:corpuser:x", can_write=False)
    with gms.faults.inject(status=500, times=1, path="/api/graphql"): …
        # also latency=0.5 | hang=True | drip=True | html=True | drop=True | redirect="https://…";
        # after=True: the request is carried out, only its answer is lost
.start()/.stop() do the same without `with`. It runs in daemon threads of the calling process.
"""
