/**
 * Who may import whom. The first row whose `files` hold a path is that path's row; an import that
 * the row does not list is refused, type imports too. `*` stands for one name, `**` for any path,
 * `:x` for one name that means the same on both sides of a row; a leading `!` takes out again.
 */
export interface Row {
  readonly floor: string
  readonly files: ReadonlyArray<string>
  /** Files of this repository, by path. */
  readonly imports: ReadonlyArray<string>
  /** Packages and doors: an exact name, or a prefix that ends in `/` or `:`. */
  readonly packages: ReadonlyArray<string>
}

const EFFECT = ["effect", "effect/"]
const PROTOBUF = ["@bufbuild/protobuf", "@bufbuild/protobuf/"]
const CONNECT = ["@connectrpc/connect", "@connectrpc/connect/", "@connectrpc/connect-node"]
/** What a user of the package writes; `quorate/testing` only in tests. */
const USER_DOORS = ["quorate", "quorate/server", "quorate/platform-node", "quorate/gen/"]
const ALL_DOORS = [...USER_DOORS, "quorate/testing"]
const TEST_KIT = ["vitest", "vitest/", "@effect/vitest", "fast-check", "oxc-parser", "typescript"]

const BASE = ["src/base/**"]
const QUORUM = [...BASE, "src/quorum/*.ts"]
const SERVER = [...QUORUM, "src/server/**"]
const LINK = [...SERVER, "src/link/**"]
const RUNTIME = [...LINK, "src/quorum/**", "src/runtime/**", "gen/quorate/**"]

export const TABLE: ReadonlyArray<Row> = [
  { floor: "base", files: BASE, imports: BASE, packages: [] },
  { floor: "quorum", files: ["src/quorum/*.ts"], imports: QUORUM, packages: [] },
  {
    floor: "quorum/client",
    files: ["src/quorum/client/**"],
    imports: [...QUORUM, "src/quorum/client/**", "src/link/call*.ts"],
    packages: EFFECT
  },
  { floor: "server", files: ["src/server/**"], imports: SERVER, packages: [] },
  {
    floor: "link",
    files: ["src/link/**"],
    imports: LINK,
    packages: ["@bufbuild/protobuf/wire"]
  },
  {
    floor: "platform-node",
    files: ["src/runtime/platform-node/**"],
    imports: RUNTIME,
    packages: [...EFFECT, ...PROTOBUF, ...CONNECT, "node:"]
  },
  {
    floor: "runtime",
    files: ["src/runtime/**"],
    imports: [...RUNTIME, "!src/runtime/platform-node/**"],
    packages: [...EFFECT, ...PROTOBUF]
  },
  {
    floor: "testing",
    files: ["src/testing/**"],
    imports: [
      ...LINK,
      "src/quorum/**",
      "src/testing/**",
      "src/runtime/Service.ts",
      "src/runtime/Group.ts",
      "src/runtime/internal/**"
    ],
    packages: [...EFFECT, ...PROTOBUF]
  },
  {
    floor: "the door `quorate`",
    files: ["src/index.ts"],
    imports: [...RUNTIME, "!src/runtime/platform-node/**"],
    packages: []
  },
  {
    floor: "the generated code of Quorate",
    files: ["gen/quorate/**"],
    imports: ["gen/quorate/**"],
    packages: PROTOBUF
  },
  {
    floor: "the generated code of an app",
    files: ["gen/:app/**"],
    imports: ["gen/:app/**", "gen/quorate/**"],
    packages: [...PROTOBUF, "quorate", "quorate/gen/"]
  },
  {
    floor: "plugin",
    files: ["plugin/**"],
    imports: ["plugin/**"],
    packages: [...PROTOBUF, "@bufbuild/protoplugin", "@bufbuild/protoplugin/"]
  },
  {
    floor: "the tests of an app or example",
    files: ["apps/:app/**/*.test.ts", "examples/:app/**/*.test.ts"],
    imports: ["apps/:app/**", "gen/:app/**", "examples/:app/**"],
    packages: [...ALL_DOORS, ...EFFECT, ...PROTOBUF, ...TEST_KIT, "node:"]
  },
  {
    floor: "an app",
    files: ["apps/:app/**"],
    imports: ["apps/:app/**", "gen/:app/**"],
    packages: [...USER_DOORS, ...EFFECT, ...PROTOBUF, "node:"]
  },
  {
    floor: "an example",
    files: ["examples/:app/**"],
    imports: ["examples/:app/**"],
    packages: [...USER_DOORS, ...EFFECT, ...PROTOBUF, "node:"]
  },
  {
    // It opens the module it measures, as a module's test does.
    floor: "the benchmark of the engine",
    files: ["bench/engine.ts"],
    imports: ["bench/**", ...SERVER],
    packages: ["node:"]
  },
  {
    floor: "the benchmark of signatures",
    files: ["bench/proofs.ts", "bench/signedBroadcast.ts"],
    imports: ["bench/**", ...LINK, "src/runtime/platform-node/nodeKeys.ts"],
    packages: ["node:"]
  },
  {
    floor: "the benchmark of links",
    files: ["bench/link.ts"],
    imports: ["bench/**", ...LINK, "src/runtime/**"],
    packages: [...EFFECT, "node:"]
  },
  {
    // It holds tables against their limits, and has the proxy that tests have.
    floor: "the soak",
    files: ["tools/soak.ts", "tools/soak/**"],
    imports: [
      "tools/**",
      "bench/cluster.ts",
      "examples/**",
      ...BASE,
      "src/testing/checkBounds.ts",
      "test/support/faultProxy.ts"
    ],
    packages: [...USER_DOORS, ...EFFECT, "node:"]
  },
  {
    floor: "tools and benchmarks",
    files: ["tools/**", "bench/**"],
    imports: ["tools/**", "bench/**", "gen/bench/**", "apps/**", "examples/**"],
    packages: [...ALL_DOORS, ...EFFECT, ...PROTOBUF, ...CONNECT, "hdr-histogram-js", "node:"]
  },
  {
    floor: "tests",
    files: ["test/**", "*.config.ts"],
    imports: ["**"],
    packages: [
      ...ALL_DOORS,
      ...EFFECT,
      ...PROTOBUF,
      ...CONNECT,
      ...TEST_KIT,
      "@bufbuild/protoplugin",
      "@grpc/grpc-js",
      "node:"
    ]
  }
]
