/** Options that cannot work fail the generation: file, line, method, what is wrong, what to do. */
import type { CodeGeneratorRequest } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { compileProtos, printedBy, quorate, requestFor } from "./generate.ts"

const HEAD = `syntax = "proto3";
package PACKAGE;
import "quorate/v1/options.proto";
message M { string text = 1; }
service S {
`
/** Line 6 is the first of `methods`; what follows the service comes after it. */
interface Case {
  readonly why: string
  readonly methods: ReadonlyArray<string>
  readonly after?: string
  readonly expected: ReadonlyArray<string>
}
const rpc = (name: string, kind: string, forwards: ReadonlyArray<string> = []): string => {
  const options = forwards.map((to) => ` option (quorate.v1.forwards) = "${to}";`)
  return `  rpc ${name}(M) returns (M) { option (quorate.v1.call) = ${kind};${options.join("")} }`
}
const ONLY = "but only MULTIPARTY and PHASE methods forward; remove the option"
const MAP = [
  "members agree on bytes, and a map has no one order of them",
  "use a repeated message of key and value, sorted by its author"
].join(": ")
const SIGNED = "but only MULTIPARTY and PHASE methods are; remove the option"
const abandoned = (kind: string): string =>
  rpc(`${kind[0]}1`, kind).replace(" }", " option (quorate.v1.on_cancel) = ABANDON; }")
/** A method called by its kind's first letter and 1. */
const signed = (kind: string): string =>
  rpc(`${kind[0]}1`, kind).replace(" }", " option (quorate.v1.signed) = true; }")

const CASES: ReadonlyArray<Case> = [
  {
    why: "a forward to a name that does not exist",
    methods: [rpc("A", "MULTIPARTY", ["Ecko"]), rpc("Echo", "PHASE")],
    expected: ["6: S.A forwards to Ecko, which is no PHASE method; phases: Echo"]
  },
  {
    why: "a forward to a method that is no phase",
    methods: [
      rpc("A", "MULTIPARTY", ["B"]),
      rpc("B", "QUORUM"),
      rpc("P", "PHASE"),
      rpc("Q", "PHASE")
    ],
    expected: ["6: S.A forwards to B, which is no PHASE method; phases: P, Q"]
  },
  {
    why: "a phase's forward to what is no phase",
    methods: [rpc("P", "PHASE", ["A"]), rpc("A", "MULTIPARTY")],
    expected: ["6: S.P forwards to A, which is no PHASE method; phases: P"]
  },
  {
    why: "MULTIPARTY without phases",
    methods: [rpc("A", "MULTIPARTY")],
    expected: ["6: S.A is MULTIPARTY, but S has no PHASE method; add one, or make it QUORUM"]
  },
  {
    why: "forwards of other kinds",
    methods: [
      rpc("A", "QUORUM", ["P"]),
      rpc("B", "RPC", ["P"]),
      rpc("C", "UNICAST", ["P"]),
      rpc("D", "MULTICAST", ["none"]),
      '  rpc E(M) returns (M) { option (quorate.v1.forwards) = "P"; }',
      rpc("P", "PHASE")
    ],
    expected: ["QUORUM", "RPC", "UNICAST", "MULTICAST", "RPC"].map(
      (kind, i) =>
        `${6 + i}: S.${"ABCDE"[i]} is ${kind} and forwards to ${i === 3 ? "none" : "P"}, ${ONLY}`
    )
  },
  {
    why: "streams",
    methods: [
      "  rpc A(stream M) returns (M) { option (quorate.v1.call) = MULTIPARTY; }",
      "  rpc P(M) returns (stream M) { option (quorate.v1.call) = PHASE; }",
      "  rpc R(stream M) returns (stream M);"
    ],
    expected: ["MULTIPARTY", "PHASE", "RPC"].map(
      (kind, i) =>
        `${6 + i}: S.${"APR"[i]} is ${kind} and streams; ` +
        "make it unary, or move it to a service without quorate options"
    )
  },
  {
    why: "a phase called none",
    methods: [rpc("A", "MULTIPARTY"), rpc("none", "PHASE")],
    expected: ['7: S.none is a PHASE method, but "none" spells "forwards to nothing"; rename it']
  },
  {
    why: "none beside others",
    methods: [rpc("A", "MULTIPARTY", ["P", "none"]), rpc("P", "PHASE")],
    expected: ['6: S.A forwards to nothing and to something; write "none" alone, or leave it out']
  },
  {
    why: "a forward said twice",
    methods: [rpc("A", "MULTIPARTY", ["P", "P"]), rpc("P", "PHASE")],
    expected: ["6: S.A forwards to P twice; remove one"]
  },
  {
    why: "maps in phase messages, deep down, once where a message holds itself",
    methods: [
      "  rpc P(Outer) returns (M) { option (quorate.v1.call) = PHASE; }",
      "  rpc Q(Flat) returns (M) { option (quorate.v1.call) = PHASE; }",
      "  rpc R(Outer) returns (Outer) { option (quorate.v1.call) = QUORUM; }"
    ],
    after: `message Outer { Outer self = 1; repeated Inner inners = 2; }
message Inner { map<string, M> labels = 1; }
message Flat { map<int32, string> names = 7; }`,
    expected: [
      `6: S.P sends Outer.inners.labels, a map; ${MAP}`,
      `7: S.Q sends Flat.names, a map; ${MAP}`
    ]
  },
  {
    why: "signatures where none are checked, and of maps",
    methods: [
      ...["QUORUM", "UNICAST"].map(signed),
      "  rpc R(M) returns (M) { option (quorate.v1.signed) = true; }",
      signed("MULTIPARTY").replace("(M)", "(Flat)"),
      rpc("P", "PHASE")
    ],
    after: "message Flat { map<int32, string> names = 7; }",
    expected: [
      ...["QUORUM", "UNICAST", "RPC"].map(
        (kind, i) => `${6 + i}: S.${["Q1", "U1", "R"][i]} is ${kind} and signed, ${SIGNED}`
      ),
      `9: S.M1 sends Flat.names, a map; ${MAP.replace("members agree on", "signatures are of")}`
    ]
  },
  {
    why: "on_cancel where nothing could go on",
    methods: ["QUORUM", "PHASE"].map(abandoned),
    expected: ["Q1 is QUORUM", "P1 is PHASE"].map(
      (what, i) =>
        `${6 + i}: S.${what} and says on_cancel, but only MULTIPARTY methods do; remove the option`
    )
  },
  {
    why: "names that would hide what is printed",
    methods: [rpc("A", "QUORUM")],
    after: `message SClient {}
enum SMethods { ZERO = 0; }
service T { ${rpc("A", "QUORUM")} }
service TClient { ${rpc("A", "QUORUM")} }`,
    expected: [
      "8: SClient has the name of an interface made for service S; rename it",
      "9: SMethods has the name of an interface made for service S; rename it",
      "11: TClient has the name of an interface made for service T; rename it"
    ]
  },
  {
    why: "two methods of one name in code",
    methods: [rpc("Echo", "QUORUM"), rpc("echo", "QUORUM")],
    expected: ["7: S.echo is echo in code, and so is Echo; rename one"]
  },
  {
    why: "everything at once",
    methods: [rpc("A", "MULTIPARTY", ["X", "Y"]), rpc("B", "RPC", ["P"]), rpc("P", "PHASE", ["Z"])],
    expected: [
      "6: S.A forwards to X, which is no PHASE method; phases: P",
      "6: S.A forwards to Y, which is no PHASE method; phases: P",
      `7: S.B is RPC and forwards to P, ${ONLY}`,
      "8: S.P forwards to Z, which is no PHASE method; phases: P"
    ]
  }
]
/** Not refused. */
const FINE = [
  [rpc("A", "MULTIPARTY", ["none"]), rpc("P", "PHASE", ["none"])],
  [rpc("P", "PHASE"), rpc("Q", "PHASE", ["P"])],
  [rpc("none", "QUORUM")],
  [signed("MULTIPARTY"), signed("PHASE")],
  [abandoned("MULTIPARTY"), rpc("P", "PHASE")]
]

const path = (i: number): string => `p${i}/p${i}.proto`
const text = (i: number, methods: ReadonlyArray<string>, after = ""): string =>
  `${HEAD.replace("PACKAGE", `p${i}`)}${methods.join("\n")}\n}\n${after}\n`
const all = [...CASES, ...FINE.map((methods) => ({ methods, after: "" }))]
const set = compileProtos(
  Object.fromEntries(all.map(({ methods, after }, i) => [path(i), text(i, methods, after)]))
)

const refusal = (request: CodeGeneratorRequest): string => {
  try {
    quorate(request)
    return "not refused"
  } catch (error) {
    return (error as Error).message
  }
}
const request = (...paths: ReadonlyArray<string>) => requestFor(set, paths, "target=ts")

describe("refused", () => {
  for (const [i, { why, expected }] of CASES.entries()) {
    it(why, () => {
      const lines = expected.map((line) => `${path(i)}:${line}`)
      assert.equal(refusal(request(path(i))), lines.join("\n"))
    })
  }
  it("mistakes of several files are told together", () => {
    const lines = [0, 3].map((i) => `${path(i)}:${CASES[i]!.expected[0]}`)
    assert.equal(refusal(request(path(0), path(3))), lines.join("\n"))
  })
  it("the CommonJS style, which quorate has not", () => {
    const asked = requestFor(set, [path(0)], "target=js,js_import_style=legacy_commonjs")
    const line = "quorate has ES modules only; remove the option js_import_style"
    assert.equal(refusal(asked), line)
  })
  it("by the program: it answers with the lines, and does not crash", () => {
    const { error, file } = printedBy("protoc-gen-quorate", request(path(0)))
    assert.equal(error, `${path(0)}:${CASES[0]!.expected[0]}`)
    assert.deepEqual(file, [])
  })
})

describe("not refused", () => {
  for (const [i, methods] of FINE.entries()) {
    it(methods.join("").replaceAll(/\s+/g, " "), () => {
      const printed = quorate(request(path(CASES.length + i)))
      assert.equal(Object.keys(printed).length, 1)
    })
  }
  it("phases no call reaches may answer every call", () => {
    const file = "q/q.proto"
    const methods = [
      rpc("A", "MULTIPARTY", ["P"]),
      rpc("B", "MULTIPARTY", ["P"]),
      rpc("P", "PHASE", ["none"]),
      rpc("Timed", "PHASE", ["none"])
    ]
    const own = compileProtos({ [file]: text(0, methods).replace("package p0", "package q") })
    const [printed] = Object.values(quorate(requestFor(own, [file], "target=ts")))
    assert.include(printed, 'readonly timed: Service.Phase<M, never, "a" | "b">;')
  })
})
