/** `quorate keygen`: files that nodes and clients start from, and nothing overwritten. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeEach, describe, expect, it } from "vitest"
import { hexOf } from "../src/base/bytes.ts"
import { type Group, GroupInvalid, parseGroup } from "../src/runtime/Group.ts"
import { keygen } from "../src/runtime/platform-node/keygen.ts"
import { readSigner } from "../src/runtime/platform-node/nodeKeys.ts"
import { execute, Program } from "./support/processes.ts"

const root = mkdtempSync(join(tmpdir(), "quorate-keygen-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0
let out: string
beforeEach(() => {
  out = join(root, `${++count}`)
})

const GROUP = ["--group", "demo", "--nodes", "4"]
const make = (...more: ReadonlyArray<string>) => keygen([...GROUP, "--out", out, ...more])
const groupIn = (folder: string): Group["Service"] => {
  const file = join(folder, "group.json")
  const group = parseGroup(JSON.parse(readFileSync(file, "utf8")), file)
  expect(group).not.toBeInstanceOf(GroupInvalid)
  return group as Group["Service"]
}
const publicKeyIn = (file: string): string =>
  hexOf(readSigner(readFileSync(file, "utf8"))!.publicKey)
const mode = (path: string): number => statSync(path).mode & 0o777

describe("keys of a group", () => {
  it("are one file each, which their owner alone reads, and in the group file", () => {
    const { code, stdout, stderr } = make()
    expect([code, stderr]).toEqual([0, undefined])
    const group = groupIn(out)
    expect(group).toMatchObject({ name: "demo", faults: "byzantine", durable: false })
    expect(group.links).toBe("authenticated")
    expect(group.clients).toBeUndefined()
    expect(group.system.members).toEqual([1, 2, 3, 4])
    expect([...group.addresses.values()]).toEqual([1, 2, 3, 4].map((id) => `127.0.0.1:700${id}`))
    for (const [id, key] of group.keys) {
      const file = join(out, `node-${id}.pem`)
      expect(publicKeyIn(file)).toBe(hexOf(key))
      expect(mode(file)).toBe(0o600)
      expect(stdout).toContain(`${file}: private key of node ${id}\n`)
    }
    expect(stdout).toMatch(
      /group\.json: group demo, 4 nodes of which 1 may be faulty, authenticated/
    )
    expect(readdirSync(out)).toHaveLength(5)
    expect(mode(out)).toBe(0o700)
  })

  it("and all that a group file may say", () => {
    const addresses = ["a.example.org:1", "b.example.org:2", "[fe80::1]:3"]
    const args = ["--group", "far", "--nodes", "3", "--out", out, "--faults", "crash", "--durable"]
    const at = addresses.flatMap((address) => ["--address", address])
    const more = ["--f", "0", "--links", "encrypted", "--clients", "2"]
    expect(keygen([...args, ...at, ...more]).code).toBe(0)
    const group = groupIn(out)
    expect(group).toMatchObject({ faults: "crash", durable: true, links: "encrypted" })
    expect(group.system.faults).toBe(0)
    expect([...group.addresses.values()]).toEqual(addresses)
    const clients = [1, 2].map((i) => publicKeyIn(join(out, `client-${i}.pem`)))
    expect([...group.clients!]).toEqual(clients)
  })

  it("as JSON", () => {
    const told = JSON.parse(make("--json").stdout!)
    expect(told.group).toBe(join(out, "group.json"))
    expect(told.keys[1]).toEqual({
      owner: "node 2",
      file: join(out, "node-2.pem"),
      publicKey: hexOf(groupIn(out).keys.get(2)!)
    })
  })

  it("overwrite nothing, and leave nothing half made", () => {
    mkdirSync(out)
    const taken = join(out, "node-3.pem")
    writeFileSync(taken, "precious")
    const { code, stderr } = make()
    expect(code).toBe(1)
    const what = "it exists, and nothing is overwritten; nothing was made"
    expect(stderr).toBe(`quorate keygen: ${taken}: ${what}\n`)
    expect(readFileSync(taken, "utf8")).toBe("precious")
    expect(readdirSync(out)).toEqual(["node-3.pem"])
  })

  it("are not made where the folder takes no files, in one line", () => {
    writeFileSync(out, "a file")
    expect(make()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^quorate keygen: .*\n$/)
    })
    rmSync(out)
    expect(existsSync(out)).toBe(false)
  })

  it.each([
    ["a name that is none", ["--group", "a b"], /"group": "a b" is no group name/],
    ["an address that is none", ["--nodes", "1", "--f", "0", "--address", "x"], /is no address/],
    ["too few nodes", ["--nodes", "3"], /3 nodes are too few/],
    ["an unknown fault model", ["--faults", "lazy"], /no fault model/],
    ["an unknown strength", ["--links", "mac"], /"mac" is no strength/]
  ])("are not made for %s: code 1, and no folder", (_what, args, line) => {
    const { code, stderr } = make(...args)
    expect([code, existsSync(out)]).toEqual([1, false])
    expect(stderr).toMatch(line)
    expect(stderr!.trimEnd()).not.toContain("\n")
  })
})

describe("one key", () => {
  it("is a file, and its public half is printed", () => {
    mkdirSync(out)
    const file = join(out, "client.pem")
    const { code, stdout } = keygen(["--key", file])
    expect([code, stdout]).toEqual([0, `${publicKeyIn(file)}\n`])
    expect(mode(file)).toBe(0o600)
    const again = keygen(["--key", file, "--json"])
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("nothing is overw") })
    const other = join(out, "other.pem")
    const told = JSON.parse(keygen(["--key", other, "--json"]).stdout!)
    expect(told).toEqual({ file: other, publicKey: publicKeyIn(other) })
  })
})

describe("a command line that is not understood", () => {
  it.each([
    [[]],
    [["--group", "demo"]],
    [["--colour"]],
    [["demo"]],
    [["--key"]],
    [["--key", "x.pem", "--nodes", "4"]],
    [[...GROUP, "--out", "x", "--address", "127.0.0.1:1"]],
    ...["0", "-1", "1.5", "x", "", "1025", "99999999"].map((nodes) => [
      ["--group", "demo", "--nodes", nodes, "--out", "x"]
    ])
  ])("%j: code 2, and where to read on", (args) => {
    const { code, stderr } = keygen(args)
    expect(code).toBe(2)
    expect(stderr).toMatch(/^quorate keygen: [^\n]*; see quorate keygen --help\n$/)
    expect(existsSync("x") || existsSync("x.pem")).toBe(false)
  })
})

describe("the command", () => {
  const MAIN = "src/runtime/platform-node/main.ts"
  it("runs", async () => {
    const told = await execute(process.execPath, [MAIN, "keygen", ...GROUP, "--out", out])
    expect(told).toContain("private key of node 4")
    expect(groupIn(out).keys.size).toBe(4)
    expect(await execute(process.execPath, [MAIN, "--help"])).toContain("quorate keygen")
    const { stdout } = keygen(["--help"])
    expect(await execute(process.execPath, [MAIN, "keygen", "--help"])).toBe(stdout)
    const again = await new Program(process.execPath, [MAIN, "keygen", ...GROUP, "--out", out])
      .ended
    expect(again).toMatchObject({ code: 1, stdout: "" })
    const unknown = await new Program(process.execPath, [MAIN, "sing"]).ended
    const stderr = "quorate: there is no command sing; see quorate --help\n"
    expect(unknown).toMatchObject({ code: 2, stdout: "", stderr })
  })
})
