/** What `NodeGroup` makes of keys in files, and of an address that other machines reach. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { hexOf } from "../src/base/bytes.ts"
import { Carrier } from "../src/runtime/Carrier.ts"
import { Member } from "../src/runtime/Member.ts"
import { keygen } from "../src/runtime/platform-node/keygen.ts"
import * as NodeGroup from "../src/runtime/platform-node/NodeGroup.ts"

const folder = mkdtempSync(join(tmpdir(), "quorate-keys-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const args = ["--group", "demo", "--nodes", "1", "--f", "0", "--clients", "1", "--out", folder]
const made = JSON.parse(keygen([...args, "--json"]).stdout!)
const [node, client] = made.keys as ReadonlyArray<{ file: string; publicKey: string }>

const plaintext = join(folder, "plaintext.json")
const nodes = [{ id: 1, address: "127.0.0.1:7001" }]
writeFileSync(
  plaintext,
  JSON.stringify({ group: "demo", faults: "crash", f: 0, durable: false, nodes })
)

const clientKey = (options?: NodeGroup.FileOptions): Promise<string> =>
  Effect.runPromise(
    Carrier.use((carrier) => Effect.succeed(hexOf(carrier.makeKey!().publicKey))).pipe(
      Effect.provide(NodeGroup.layerFile(made.group, options))
    )
  )
const refused = (layer: Layer.Layer<never, Error> | Layer.Layer<any, Error>): Promise<string> =>
  Effect.runPromise(Effect.flip(Effect.scoped(Layer.build(layer)))).then(({ message }) => message)

describe("a client's key", () => {
  it("is the one in its file, or a new one each time", async () => {
    expect(await clientKey({ key: client!.file })).toBe(client!.publicKey)
    expect(await clientKey({ key: client!.file, transport: "unary" })).toBe(client!.publicKey)
    expect(await clientKey()).not.toBe(await clientKey())
  })

  it("is asked for where the file has none", async () => {
    const missing = join(folder, "missing.pem")
    const line = await refused(NodeGroup.layerFile(made.group, { key: missing }))
    expect(line).toMatch(/missing\.pem: it cannot be read: .*ENOENT.*; name the file of a private/)
    const wrong = await refused(NodeGroup.layerFile(made.group, { key: made.group }))
    expect(wrong).toMatch(/holds no ed25519 private key in PEM; make one with npx quorate keygen$/)
  })
})

describe("a node", () => {
  it("has the key in its file, and no other's", async () => {
    const key = await Effect.runPromise(
      Member.use((member) => Effect.succeed(hexOf(member.signer!.publicKey))).pipe(
        Effect.provide(NodeGroup.layerMember(made.group, 1, { key: node!.file })),
        Effect.scoped
      )
    )
    expect(key).toBe(node!.publicKey)
    const line = await refused(NodeGroup.layerMember(made.group, 1, { key: client!.file }))
    expect(line).toContain(
      `the group file has key ${node!.publicKey} for node 1; name node 1's own`
    )
  })

  it("does not listen for other machines where links are plaintext by default only", async () => {
    const listen = "0.0.0.0:7001"
    const line = await refused(NodeGroup.layerMember(plaintext, 1, { listen }))
    const told = /0\.0\.0\.0:7001 is reached from other machines, .*; write "links": /
    expect(line).toMatch(told)
    const host = NodeGroup.layerHost({ listen })
    const shared = NodeGroup.layerMember(plaintext, 1).pipe(Layer.provide(host))
    expect(await refused(shared)).toMatch(told)
  })
})
