/** Who may import whom: test/support/importTable.ts, checked on every import, also of types. */
import { describe, expect, it } from "vitest"
import { checkImports, findCycles, treeOf } from "./support/imports.ts"
import { codePaths, DOORS, generatedPaths, printed, readSource } from "./support/repo.ts"

const repository = treeOf([...codePaths(), ...generatedPaths()].map(readSource), DOORS)

describe("imports", () => {
  it("keep to the table", () => {
    expect(printed(checkImports(repository))).toEqual([])
  })

  it("of values never lead back to where they started", () => {
    expect(findCycles(repository).map((cycle) => cycle.join(" -> "))).toEqual([])
  })
})

/** One planted import: what stands in `from`, and the files that exist beside it. */
const refused = (
  from: string,
  text: string,
  others: ReadonlyArray<string> = []
): ReadonlyArray<string> =>
  checkImports(
    treeOf([{ path: from, text }, ...others.map((path) => ({ path, text: "export {}" }))])
  ).map(({ what }) => what)

describe("the check of imports", () => {
  it.each([
    ["src/base/prng.ts", 'import { x } from "../quorum/Tally.ts"', ["src/quorum/Tally.ts"]],
    ["src/quorum/Tally.ts", 'import { Effect } from "effect"', []],
    [
      "src/quorum/Tally.ts",
      'export { x } from "./client/Replies.ts"',
      ["src/quorum/client/Replies.ts"]
    ],
    ["src/quorum/client/Replies.ts", 'import "../../link/linkCore.ts"', ["src/link/linkCore.ts"]],
    ["src/server/engine.ts", 'import type { Disk } from "../link/ports.ts"', ["src/link/ports.ts"]],
    ["src/server/engine.ts", 'import { create } from "@bufbuild/protobuf"', []],
    ["src/link/linkCore.ts", 'import { create } from "@bufbuild/protobuf"', []],
    ["src/link/linkCore.ts", 'const { x } = await import("node:fs")', []],
    [
      "src/link/linkCore.ts",
      'type X = import("../../gen/quorate/v1/link_pb.ts").X',
      ["gen/quorate/v1/link_pb.ts"]
    ],
    ["src/runtime/GroupNode.ts", 'import { createServer } from "node:http2"', []],
    [
      "src/runtime/GroupNode.ts",
      'export * from "./platform-node/x.ts"',
      ["src/runtime/platform-node/x.ts"]
    ],
    ["src/runtime/GroupNode.ts", 'import { x } from "quorate"', []],
    [
      "src/runtime/GroupNode.ts",
      'import { x } from "../testing/index.ts"',
      ["src/testing/index.ts"]
    ],
    ["src/testing/simCarrier.ts", 'import { it } from "vitest"', []],
    ["src/testing/simCarrier.ts", 'import "../runtime/GroupNode.ts"', ["src/runtime/GroupNode.ts"]],
    ["src/index.ts", 'export { Effect } from "effect"', []],
    ["plugin/src/plugin.ts", 'import "../../src/index.ts"', ["src/index.ts"]],
    ["apps/paxos/server.ts", 'import "../../src/index.ts"', ["src/index.ts"]],
    ["apps/paxos/server.ts", 'import "../pbft/protocol.ts"', ["apps/pbft/protocol.ts"]],
    ["apps/paxos/server.ts", 'import { Simulation } from "quorate/testing"', []],
    ["apps/paxos/server.ts", 'import "../../gen/pbft/v1/x_pb.ts"', ["gen/pbft/v1/x_pb.ts"]],
    ["gen/quorate/v1/link_pb.ts", 'import "quorate"', []],
    ["gen/paxos/v1/x_quorate.ts", 'import "../../pbft/x_pb.ts"', ["gen/pbft/x_pb.ts"]],
    ["bench/load.ts", 'import "../src/server/engine.ts"', ["src/server/engine.ts"]],
    ["lib/new.ts", "export {}", []],
    ["src/base/prng.ts", 'import { x } from "./gone.ts"', []]
  ])("refuses, in %s, %s", (from, text, others) => {
    expect(refused(from, text, others)).toHaveLength(1)
  })

  it("lets an app import the doors, its own files and its own generated code", () => {
    const text = `
      import { Quorum } from "quorate"
      import { Replica } from "quorate/server"
      import { CallIdSchema } from "quorate/gen/quorate/v1/call_pb.js"
      import { Paxos } from "../../gen/paxos/v1/paxos_quorate.ts"
    `
    expect(refused("apps/paxos/server.ts", text, ["gen/paxos/v1/paxos_quorate.ts"])).toEqual([])
  })

  it("finds a cycle, also through a door, and leaves types out of it", () => {
    const files = (last: string) => [
      { path: "src/a.ts", text: 'import { b } from "./b.ts"' },
      { path: "src/b.ts", text: 'export * from "quorate"' },
      { path: "src/index.ts", text: last }
    ]
    const doors = new Map([["quorate", "src/index.ts"]])
    const found = (last: string) => findCycles(treeOf(files(last), doors))
    expect(found('import { a } from "./a.ts"')).toEqual([
      ["src/a.ts", "src/b.ts", "src/index.ts", "src/a.ts"]
    ])
    expect(found('import type { a } from "./a.ts"')).toEqual([])
    expect(found('import { type a } from "./a.ts"')).toHaveLength(1)
  })
})
