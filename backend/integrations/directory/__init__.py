"""The people directory: GraphQL, SCIM 2.0 or an uploaded file, behind `client.DirectoryClient`.

One folder each: graphql, scim, upload. A source is a class with `pages(most)`, which yields the
mapped people page by page; `client.SOURCES` names them. `mapping` is one JMESPath expression for
all of them: from a page's document to a list of people, each {"email", "displayName", "domain" or
"domains"}; what is wrong inside one is the planner's to say. Errors are those of `errors`, all
under backend.core.errors (.system "Directory", .cause, .advice).
"""
