// Apollo Server 4 as a directory: PORT PEOPLE; people without a mail break the promise of the schema.
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { GraphQLError } from "graphql";

const [port, count] = process.argv.slice(2).map(Number);
const people = Array.from({ length: count }, (_, n) => ({
  mail: `user${n}@example.com`, name: `User ${n}`, department: n % 2 ? "Finance" : "Marketing",
}));
const typeDefs = `#graphql
  type User { mail: String! name: String department: String }
  type Query {
    users(limit: Int, offset: Int): [User!]!
    everybody: [User!]!
    broken: [User!]!
  }`;
const resolvers = {
  Query: {
    users: (_, { limit = 100, offset = 0 }) => {
      if (offset >= 4000 && process.env.FAILS) throw new GraphQLError("the source went away");
      return people.slice(offset, offset + limit);
    },
    everybody: () => people,
    broken: () => people.map((p, n) => (n === 4 ? { ...p, mail: null } : p)),
  },
};
const context = async ({ req }) => {
  if (req.headers.authorization !== "Bearer sesame")
    throw new GraphQLError("You must be logged in.", {
      extensions: { code: "UNAUTHENTICATED", http: { status: 200 } },
    });
  return {};
};
const server = new ApolloServer({ typeDefs, resolvers, introspection: true });
const { url } = await startStandaloneServer(server, { listen: { port, host: "127.0.0.1" }, context });
console.log(url);
