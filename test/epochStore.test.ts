/** What a node keeps of the epochs it is in, through crashes at any step. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { hexOf } from "../src/base/bytes.ts"
import { type Group, type GroupConfig, parseGroup } from "../src/runtime/Group.ts"
import { planOf, readPlan } from "../src/runtime/internal/epochPlan.ts"
import { EpochStore } from "../src/runtime/internal/epochStore.ts"
import { FileDisk, openFileDisk } from "../src/runtime/platform-node/fileDisk.ts"
import { temporaryFolder } from "./support/processes.ts"

const config = (epoch: number, ...ids: ReadonlyArray<number>): GroupConfig => ({
  group: "demo",
  epoch,
  faults: "crash",
  durable: true,
  nodes: ids.map((id) => ({ id, address: `127.0.0.1:${7000 + id}` }))
})
const groupOf = (value: unknown): Group["Service"] => {
  const group = parseGroup(value, "test")
  if (!("system" in group)) throw group
  return group
}
const ONE = planOf(groupOf(config(1, 1, 2, 3)))
const TWO = planOf(groupOf(config(2, 2, 3, 4)))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (it: string) => new TextEncoder().encode(it)

const diskAt = (folder: string): FileDisk => {
  const disk = openFileDisk({ folder, init: true })
  assert.instanceOf(disk, FileDisk)
  return disk as FileDisk
}
const storeAt = (disk: FileDisk): EpochStore => {
  const store = EpochStore.open(disk, "demo")
  assert.isTrue(store instanceof EpochStore)
  return store as EpochStore
}

describe("the description of an epoch", () => {
  it("is the same for files that say the same", () => {
    const other = { ...config(1, 3, 1, 2), transport: "link", f: 1 }
    assert.equal(text(planOf(groupOf(other)).description), text(ONE.description))
  })

  it("reads back as the same group: addresses, TLS, keys, links and clients", () => {
    const key = (digit: string) => digit.repeat(64)
    const nodes = [1, 2, 3].map((id) => ({
      ...{ id, address: `[::1]:${7000 + id}`, tls: id === 2, key: key(String(id)) }
    }))
    const full = { ...config(7), links: "encrypted", clients: [key("b"), key("a")], nodes }
    const group = groupOf(full)
    const read = readPlan(planOf(group).description, "demo")!.group
    assert.equal(hexOf(read.digest), hexOf(group.digest))
    assert.deepEqual([...read.addresses], [...group.addresses])
    assert.deepEqual(read.clients, group.clients)
    assert.equal(read.links, "encrypted")
    assert.equal(read.epoch, 7)
  })

  it("is taken of this group alone, and in one form alone", () => {
    const said = text(TWO.description)
    assert.equal(readPlan(TWO.description, "demo")?.number, 2)
    assert.isUndefined(readPlan(TWO.description, "other"))
    for (const wrong of ["", "{", "null", `${said} `, said.replace('"epoch":2', '"epoch":0')]) {
      assert.isUndefined(readPlan(bytes(wrong), "demo"), wrong)
    }
    assert.isUndefined(readPlan(Uint8Array.of(0xff), "demo"))
    assert.isUndefined(readPlan(new Uint8Array(2_000_000), "demo"))
  })
})

describe("a data folder", () => {
  it("keeps the first epoch where it always was, and others in folders of their own", () => {
    const folder = join(temporaryFolder(), "data")
    const disk = diskAt(folder)
    const store = storeAt(disk)
    assert.deepEqual([store.ended, store.live], [0, []])
    assert.equal(store.diskOf(1).where, folder)
    assert.equal(store.diskOf(2).where, join(folder, "epoch-2"))
    store.add(TWO)
    store.add(ONE)
    const later = storeAt(disk)
    assert.deepEqual(
      later.live.map(({ description }) => text(description)),
      [ONE, TWO].map(({ description }) => text(description))
    )
    disk.close()
  })

  it("says durably that an epoch ended before its store goes", async () => {
    const folder = join(temporaryFolder(), "data")
    const disk = diskAt(folder)
    const store = storeAt(disk)
    store.add(ONE)
    store.add(TWO)
    disk.create("log-0000000001", bytes("words"))
    store.diskOf(2).create("log-0000000001", bytes("words"))
    // A crash right after the file was written: nothing of the store has gone.
    const [removed, { remove }] = [[] as Array<string>, disk]
    Object.assign(disk, { remove: (name: string) => void removed.push(name) })
    store.end(ONE, () => {})
    assert.deepEqual(removed, ["log-0000000001"])
    assert.include(readFileSync(join(folder, "epochs"), "utf8"), '"ended":1')
    Object.assign(disk, { remove })
    const later = storeAt(disk)
    assert.deepEqual([later.ended, later.digests], [1, [hexOf(ONE.group.digest)]])
    assert.deepEqual(
      later.live.map(({ number }) => number),
      [2]
    )
    while (readdirSync(folder).includes("log-0000000001")) await new Promise(setImmediate)
    assert.isTrue(existsSync(join(folder, "epoch-2", "log-0000000001")))
    assert.isUndefined(await new Promise((done) => later.end(TWO, done)))
    assert.isFalse(existsSync(join(folder, "epoch-2")))
    assert.equal(storeAt(disk).ended, 2)
    disk.close()
  })

  it("is refused where its file is no such file, or of another group", () => {
    const folder = join(temporaryFolder(), "data")
    const disk = diskAt(folder)
    storeAt(disk).add(TWO)
    const good = readFileSync(join(folder, "epochs"), "utf8")
    const foreign = EpochStore.open(disk, "other")
    assert.isFalse(foreign instanceof EpochStore)
    for (const wrong of [
      "",
      "null",
      "[]",
      '{"ended":1}',
      good.replace('"ended":0', '"ended":"0"')
    ]) {
      writeFileSync(join(folder, "epochs"), wrong)
      assert.include(EpochStore.open(disk, "demo"), { remedy: "put it back as it was" })
    }
    disk.close()
  })
})
