"""Every GraphQL document the portal sends to DataHub, by name.

They ask only for fields that every 1.x server has, and never for an ingestion recipe: recipes may
hold passwords.
"""

ME = """
query portalMe { me { corpUser { urn username } } }
"""

DATASET = """
query portalDataset($urn: String!) {
  dataset(urn: $urn) {
    urn
    exists
    name
    origin
    platform { urn name }
    status { removed }
    properties { name description customProperties { key value } }
    editableProperties { description }
    tags { tags { tag { urn } } }
    institutionalMemory { elements { url label created { time actor } } }
    schemaMetadata(version: 0) {
      fields {
        fieldPath
        nullable
        description
        type
        nativeDataType
        tags { tags { tag { urn } } }
        glossaryTerms { terms { term { urn } } }
      }
    }
    editableSchemaMetadata {
      editableSchemaFieldInfo {
        fieldPath
        description
        tags { tags { tag { urn } } }
        glossaryTerms { terms { term { urn } } }
      }
    }
    structuredProperties {
      properties {
        structuredProperty { urn }
        values { ... on StringValue { stringValue } ... on NumberValue { numberValue } }
      }
    }
  }
}
"""

CREATE_STRUCTURED_PROPERTY = """
mutation portalCreateStructuredProperty($input: CreateStructuredPropertyInput!) {
  createStructuredProperty(input: $input) { urn }
}
"""

UPSERT_STRUCTURED_PROPERTIES = """
mutation portalUpsertStructuredProperties($input: UpsertStructuredPropertiesInput!) {
  upsertStructuredProperties(input: $input) { properties { structuredProperty { urn } } }
}
"""

#: A dataset as `datasets_with_links` asks for it, many in one query.
_LINKS = """
    urn
    exists
    name
    origin
    platform { urn name }
    tags { tags { tag { urn } } }
    institutionalMemory { elements { url label created { time actor } } }
"""


#: What is needed to say which columns of a dataset are likely personal data.
_FIELDS = """
    urn
    exists
    name
    origin
    platform { urn name }
    tags { tags { tag { urn } } }
    schemaMetadata(version: 0) {
      fields {
        fieldPath
        nullable
        type
        tags { tags { tag { urn } } }
        glossaryTerms { terms { term { urn } } }
      }
    }
    editableSchemaMetadata {
      editableSchemaFieldInfo {
        fieldPath
        tags { tags { tag { urn } } }
        glossaryTerms { terms { term { urn } } }
      }
    }
"""


def datasets_with_links(count: int) -> str:
    """A query for `count` datasets, the variables $u0, $u1, … and the answers d0, d1, …"""
    return _many("portalDatasetLinks", _LINKS, count)


def datasets_with_fields(count: int) -> str:
    """The same with tags and fields."""
    return _many("portalDatasetFields", _FIELDS, count)


def _many(name: str, wanted: str, count: int) -> str:
    variables = ", ".join(f"$u{number}: String!" for number in range(count))
    asked = "\n".join(
        f"  d{number}: dataset(urn: $u{number}) {{ {wanted} }}" for number in range(count)
    )
    return f"query {name}({variables}) {{\n{asked}\n}}"


SEARCH_DATASETS = """
query portalSearchDatasets($input: SearchAcrossEntitiesInput!) {
  searchAcrossEntities(input: $input) {
    start
    count
    total
    searchResults {
      entity {
        urn
        ... on Dataset {
          name
          platform { urn name }
          properties { name description }
          editableProperties { description }
          tags { tags { tag { urn } } }
        }
      }
    }
  }
}
"""

SCROLL_URNS = """
query portalScrollUrns($input: ScrollAcrossEntitiesInput!) {
  scrollAcrossEntities(input: $input) {
    nextScrollId
    count
    total
    searchResults { entity { urn } }
  }
}
"""

#: Column-level edges around a dataset: its own name its upstream columns, those of what reads it
#: its downstream ones; of jobs, both. Siblings are not merged in: they are asked for by name.
COLUMN_LINEAGE = """
query portalColumnLineage($urn: String!, $count: Int!) {
  dataset(urn: $urn) {
    urn
    exists
    siblings { siblings { urn } }
    fineGrainedLineages { ...edges }
    upstream: lineage(
      input: { direction: UPSTREAM, start: 0, count: $count, separateSiblings: true }
    ) { ...related }
    downstream: lineage(
      input: { direction: DOWNSTREAM, start: 0, count: $count, separateSiblings: true }
    ) { ...related }
  }
}
fragment edges on FineGrainedLineage { upstreams { urn path } downstreams { urn path } }
fragment related on EntityLineageResult {
  total
  relationships {
    entity {
      urn
      ... on Dataset { fineGrainedLineages { ...edges } }
      ... on DataJob { inputOutput { fineGrainedLineages { ...edges } } }
    }
  }
}
"""

#: The jobs whose output is a dataset, each with its last run, and the job of the dataset's own.
#: By lineage, since `relationships` of the type Produces has every run of a job beside the job.
WRITERS = """
query portalWriters($urn: String!, $lineage: SearchAcrossLineageInput!) {
  dataset(urn: $urn) {
    urn
    exists
    runs(start: 0, count: 1, direction: OUTGOING) {
      runs {
        urn
        relationships(
          input: { types: ["InstanceOf"], direction: OUTGOING, start: 0, count: 1 }
        ) { relationships { entity { urn type } } }
      }
    }
  }
  searchAcrossLineage(input: $lineage) {
    total
    searchResults {
      degree
      entity {
        urn
        type
        ... on DataJob {
          jobId
          dataFlow { flowId orchestrator }
          properties { name }
          runs(start: 0, count: 1) {
            runs {
              urn
              state(limit: 1) {
                status
                timestampMillis
                durationMillis
                result { resultType }
              }
            }
          }
        }
      }
    }
  }
}
"""

CREATE_TAG = """
mutation portalCreateTag($input: CreateTagInput!) { createTag(input: $input) }
"""

ADD_LINK = """
mutation portalAddLink($input: AddLinkInput!) { addLink(input: $input) }
"""

REMOVE_LINK = """
mutation portalRemoveLink($input: RemoveLinkInput!) { removeLink(input: $input) }
"""

LIST_INGESTION_SOURCES = """
query portalIngestionSources($input: ListIngestionSourcesInput!) {
  listIngestionSources(input: $input) {
    start
    count
    total
    ingestionSources {
      urn
      name
      type
      schedule { interval timezone }
      config { executorId }
      executions(start: 0, count: 1) {
        executionRequests {
          urn
          input { task requestedAt }
          result { status startTimeMs durationMs }
        }
      }
    }
  }
}
"""

INGESTION_SOURCE = """
query portalIngestionSource($urn: String!) {
  ingestionSource(urn: $urn) {
    urn
    name
    type
    schedule { interval timezone }
    config { recipe executorId version debugMode extraArgs { key value } }
  }
}
"""

EXECUTION_REQUEST = """
query portalExecutionRequest($urn: String!) {
  executionRequest(urn: $urn) {
    urn
    input { task requestedAt }
    result { status startTimeMs durationMs report }
  }
}
"""

CREATE_EXECUTION_REQUEST = """
mutation portalCreateExecutionRequest($input: CreateIngestionExecutionRequestInput!) {
  createIngestionExecutionRequest(input: $input)
}
"""

CANCEL_EXECUTION_REQUEST = """
mutation portalCancelExecutionRequest($input: CancelIngestionExecutionRequestInput!) {
  cancelIngestionExecutionRequest(input: $input)
}
"""

ALL = {
    name: value
    for name, value in dict(globals()).items()
    if name.isupper() and not name.startswith("_")
} | {
    "datasets_with_links": datasets_with_links(2),
    "datasets_with_fields": datasets_with_fields(2),
}
