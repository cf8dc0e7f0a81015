import { createHash } from "node:crypto"
import { Effect } from "effect"
import { assert, it } from "vitest"
import { GroupInvalid } from "../src/runtime/Errors.ts"
import { Group, type GroupConfig, parseGroup } from "../src/runtime/Group.ts"
import { linksNotice, listenProblem, mayCall, mayLink } from "../src/runtime/internal/groupLinks.ts"

const config: GroupConfig = {
  group: "demo",
  faults: "crash",
  durable: false,
  nodes: [
    { id: 3, address: "127.0.0.1:7003" },
    { id: 1, address: "localhost:7001" },
    { id: 2, address: "[::1]:7002" }
  ]
}
const parsed = (value: unknown) => {
  const group = parseGroup(value, "g.json")
  assert.notInstanceOf(group, GroupInvalid)
  return group as Group["Service"]
}
const refusal = (value: unknown): string => {
  const group = parseGroup(value, "g.json")
  assert.instanceOf(group, GroupInvalid)
  return (group as GroupInvalid).message
}

it("takes a good group: members in order, the most faults its size allows", () => {
  const group = parsed(config)
  assert.deepEqual(group.system.members, [1, 2, 3])
  assert.equal(group.system.faults, 1)
  assert.equal(group.addresses.get(2), "[::1]:7002")
  assert.equal(group.digest.length, 32)
})

it("an address that is dialled with TLS says so", () => {
  const [first, ...rest] = config.nodes
  const { addresses } = parsed({ ...config, nodes: [{ ...first, tls: true }, ...rest] })
  assert.deepEqual([...addresses.values()].sort(), [
    "[::1]:7002",
    "https://127.0.0.1:7003",
    "localhost:7001"
  ])
})

it("digests what members must agree on, and no addresses: a proxy may stand between", () => {
  const digest = (change: object) =>
    Buffer.from(parsed({ ...config, ...change }).digest).toString("hex")
  const same = digest({})
  assert.equal(digest({ nodes: config.nodes.toReversed() }), same)
  assert.equal(
    digest({ nodes: config.nodes.map((n) => ({ ...n, address: `127.0.0.9:${n.id}` })) }),
    same
  )
  assert.equal(digest({ nodes: config.nodes.map((n) => ({ ...n, tls: true })) }), same)
  assert.equal(digest({ f: 1 }), same)
  const others = [
    digest({ group: "other" }),
    digest({ durable: true }),
    digest({ f: 0 }),
    digest({ nodes: config.nodes.map((n) => ({ ...n, id: n.id + 1 })) })
  ]
  assert.equal(new Set([same, ...others]).size, 5)
})

it("an epoch has a digest of its own, and without one a file is of the first", () => {
  const hex = (change: object) =>
    Buffer.from(parsed({ ...config, ...change }).digest).toString("hex")
  const of = (text: string) => createHash("sha256").update(text).digest("hex")
  assert.equal(parsed(config).epoch, 1)
  assert.equal(hex({}), of('["quorate-group/1","demo","crash",1,false,[1,2,3]]'))
  assert.equal(hex({ epoch: 1 }), hex({}))
  assert.equal(hex({ epoch: 7 }), of('["quorate-group/1","demo","crash",1,false,[1,2,3],7]'))
  for (const epoch of [0, -1, 1.5, "2", 2 ** 32, null]) {
    assert.match(refusal({ ...config, epoch }), /^g\.json: "epoch": .* is no epoch; write a whole/)
  }
})

const nodes = (...entries: ReadonlyArray<unknown>) => ({ ...config, nodes: entries })
const wrong: ReadonlyArray<readonly [string, unknown, RegExp]> = [
  [
    "tls that is no boolean",
    nodes({ id: 1, address: "127.0.0.1:7001", tls: "yes" }),
    /^g\.json: nodes\[0\]: "tls": "yes" is no boolean; write true or false$/
  ],
  [
    "a transport that is none",
    { ...config, transport: "carrier pigeon" },
    /^g\.json: "transport": "carrier pigeon" is no transport; write "link" or "unary"$/
  ],
  ["no object", [], /^g\.json: \[\] is no object; write \{ "group"/],
  [
    "an unknown key",
    { ...config, fault: 1 },
    /^g\.json: unknown key "fault"; known keys: group, faults, f, durable, links, transport, .*$/
  ],
  [
    "a missing field",
    { ...config, durable: undefined },
    /^g\.json: "durable" is missing; write "durable": true or false$/
  ],
  ["a bad name", { ...config, group: "a b" }, /^g\.json: "group": "a b" is no group name; /],
  [
    "a bad fault model",
    { ...config, faults: "pbft" },
    /^g\.json: "faults": "pbft" is no fault model; /
  ],
  [
    "a durable that is no boolean",
    { ...config, durable: "yes" },
    /"yes" is no boolean; write true or false$/
  ],
  ["a fractional f", { ...config, f: 0.5 }, /"f": 0\.5 is no number of faulty members; /],
  ["an f too high", { ...config, f: 2 }, /^g\.json: .*2.*; /],
  ["no list of nodes", { ...config, nodes: {} }, /^g\.json: "nodes": \{\} is no list; /],
  ["no nodes", nodes(), /^g\.json: "nodes" lists no member; list at least one$/],
  ["too few nodes", { ...config, faults: "byzantine", f: 1 }, /^g\.json: .*; /],
  [
    "an unknown key of a node",
    nodes({ id: 1, adress: "x" }),
    /^g\.json: nodes\[0\]: unknown key "adress"; known keys: id, address, tls, key$/
  ],
  [
    "a node without address",
    nodes({ id: 1 }),
    /^g\.json: nodes\[0\]: "address" is missing; write "address": "127\.0\.0\.1:7001"$/
  ],
  [
    "an id of 0",
    nodes({ id: 0, address: "localhost:1" }),
    /^g\.json: nodes\[0\]: 0 is no node id; write a whole number/
  ],
  [
    "a duplicate id",
    nodes({ id: 1, address: "localhost:1" }, { id: 1, address: "localhost:2" }),
    /^g\.json: nodes\[1\]: node id 1 is used twice; give each node an id of its own$/
  ],
  [
    "a duplicate address",
    nodes({ id: 1, address: "localhost:1" }, { id: 2, address: "localhost:1" }),
    /^g\.json: nodes\[1\]: address localhost:1 is node 1's already; /
  ],
  [
    "an address without port",
    nodes({ id: 1, address: "localhost" }),
    /"localhost" is no address; write "host:port"/
  ],
  [
    "a port too high",
    nodes({ id: 1, address: "localhost:70000" }),
    /"localhost:70000" is no address; /
  ],
  ["a URL", nodes({ id: 1, address: "http://localhost:7000" }), /is no address; /]
]
it.each(wrong)("refuses %s with one line", (_name, value, message) => {
  const text = refusal(value)
  assert.match(text, message)
  assert.notInclude(text, "\n")
})

it("Group.layer fails with the same line", async () => {
  const failure = await Effect.runPromise(
    Group.use(Effect.succeed).pipe(
      Effect.provide(Group.layer({ ...config, group: "" }, "here.json")),
      Effect.flip
    )
  )
  assert.match(failure.message, /^here\.json: "group": "" is no group name; /)
})

it("takes keys of all nodes, which the digest covers, or of none", () => {
  const key = (digit: string) => digit.repeat(64)
  const keyed = (...digits: ReadonlyArray<string | undefined>) => ({
    ...config,
    nodes: config.nodes.map((n, i) => {
      const digit = digits[i]
      return digit === undefined ? n : { ...n, key: digit.length === 1 ? key(digit) : digit }
    })
  })
  const group = parsed(keyed("a", "b", "c"))
  assert.deepEqual(group.keys.get(1), new Uint8Array(32).fill(0xbb))
  assert.equal(parsed(config).keys.size, 0)
  const digests = [config, keyed("a", "b", "c"), keyed("b", "a", "c")].map((it) =>
    Buffer.from(parsed(it).digest).toString("hex")
  )
  assert.equal(new Set(digests).size, 3)
  assert.deepEqual(parsed(keyed("A", "B", "C")).digest, group.digest)
  assert.match(refusal(keyed("a", "b")), /^g\.json: node 2 has no key, and others have; /)
  assert.match(refusal(keyed("a", "a", "b")), /^g\.json: nodes\[1\]: its key is node 3's already; /)
  assert.match(refusal(keyed("xyz", "b", "c")), /"xyz" is no key; write 64 hexadecimal digits$/)
  const loop: { self?: unknown } = {}
  loop.self = loop
  for (const it of [1n, loop, null, 7, "a".repeat(63), `${key("a")}\n`, "\u0660".repeat(64)]) {
    const [first, ...others] = keyed("a", "b", "c").nodes
    const odd = { ...config, nodes: [{ ...first, key: it }, ...others] }
    assert.match(refusal(odd), /^g\.json: nodes\[0\]: .* is no key; write 64 hexadecimal digits$/)
  }
  const remedy =
    /^g\.json: nodes\[0\]: anybody can sign for the key "0+…; make one with npx quorate keygen$/
  assert.match(refusal(keyed("0", "b", "c")), remedy)
})

const near = ["127.0.0.1:1", "127.9.9.9:2", "localhost:3"]
const far = ["127.0.0.1:1", "10.0.0.7:2", "127.0.0.1:3"]
const linked = (addresses: ReadonlyArray<string>, keyed: boolean, more: object = {}) => ({
  ...config,
  nodes: addresses.map((address, i) => ({
    id: i + 1,
    address,
    ...(keyed && { key: `${i + 1}`.repeat(64) })
  })),
  ...more
})

it("has plaintext links on one machine, authenticated ones elsewhere, or what it asks for", () => {
  const links = (...args: Parameters<typeof linked>) => parsed(linked(...args)).links
  assert.equal(links(near, false), "plaintext")
  assert.equal(links(near, true), "plaintext")
  assert.equal(links(near, true, { links: "authenticated" }), "authenticated")
  assert.equal(links(far, true), "authenticated")
  assert.equal(links(far, true, { links: "encrypted" }), "encrypted")
  assert.equal(links(far, true, { links: "plaintext" }), "plaintext")
  assert.equal(links(far, false, { links: "plaintext" }), "plaintext")
  const elsewhere = [
    "example.org:1",
    "0.0.0.0:1",
    "[::]:1",
    "127.0.0.1.example.org:1",
    "[fe80::1]:1"
  ]
  for (const address of elsewhere) {
    assert.equal(links([address, ...near], true), "authenticated", address)
    const told = refusal(linked([...near, address], false))
    const what = "is not on this machine, and nodes have no keys; make keys with npx quorate keygen"
    assert.include(told, `g.json: node 4's address ${address} ${what}`)
  }
})

it("has them whether nodes are dialled with TLS or not", () => {
  const secure = (addresses: ReadonlyArray<string>) => {
    const group = linked(addresses, true)
    return parsed({ ...group, nodes: group.nodes.map((node) => ({ ...node, tls: true })) }).links
  }
  assert.deepEqual([near, far].map(secure), ["plaintext", "authenticated"])
})

it("lets a node listen for other machines only where the file says how links are kept", () => {
  const problem = (listen: string, more: object) =>
    listenProblem(parsed(linked(near, true, more)), listen)
  assert.match(problem("0.0.0.0:1", {})!.what, /^0\.0\.0\.0:1 is reached from other machines, /)
  assert.isUndefined(problem("127.0.0.1:9", {}))
  for (const links of ["plaintext", "authenticated"]) {
    assert.isUndefined(problem("0.0.0.0:1", { links }))
  }
})

it("refuses strengths that are none, and those without keys", () => {
  for (const links of ["mac", "", 1, null, ["plaintext"]]) {
    const names =
      /^g\.json: "links": .* is no strength; write one of "plaintext", "auth.*", "enc.*"$/
    assert.match(refusal(linked(near, true, { links })), names)
  }
  const keyless = /^g\.json: "links": encrypted links need a key of each node; make keys with/
  assert.match(refusal(linked(near, false, { links: "encrypted" })), keyless)
})

it("takes a list of clients where they prove their keys", () => {
  const key = "a".repeat(64)
  const other = new Uint8Array(32).fill(0xbb)
  const open = parsed(linked(far, true))
  const closed = parsed(linked(far, true, { clients: [key.toUpperCase()] }))
  const none = parsed(linked(far, true, { clients: [] }))
  const [listed, member] = [new Uint8Array(32).fill(0xaa), closed.keys.get(2)!]
  const rights = (group: Group["Service"]) =>
    [listed, other, member].map((one) => [mayLink(group, one), mayCall(group, one)])
  assert.deepEqual(rights(open), Array(3).fill([true, true]))
  assert.deepEqual(rights(closed), [
    [true, true],
    [false, false],
    [true, false]
  ])
  assert.deepEqual(rights(none), [
    [false, false],
    [false, false],
    [true, false]
  ])
  assert.match(refusal(linked(near, true, { clients: [key] })), /"clients": on plaintext links no/)
  assert.match(
    refusal(linked(far, true, { clients: key })),
    /"clients": "aa.* are no list; write up/
  )
  assert.match(refusal(linked(far, true, { clients: ["x"] })), /clients\[0\]: "x" is no key; write/)
})

it("neither links nor clients change the digest: they are each host's own demand", () => {
  const digest = (more: object) =>
    Buffer.from(parsed(linked(far, true, more)).digest).toString("hex")
  const demands = [{}, { links: "plaintext" }, { links: "encrypted" }, { clients: [] }]
  assert.equal(new Set(demands.map(digest)).size, 1)
})

it("says so where links are plaintext", () => {
  const notice = (...args: Parameters<typeof linked>) => linksNotice(parsed(linked(...args)))
  assert.match(notice(near, false)!, /^links are plaintext: any process of this machine can /)
  assert.match(notice(far, true, { links: "plaintext" })!, /: whoever reaches an address of the /)
  assert.isUndefined(notice(far, true))
})
