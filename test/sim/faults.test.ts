/** What goes wrong in a run: planned as data, done to networks, disks, clocks and memories. */
import { describe, expect, it } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { Prng } from "../../src/base/prng.ts"
import { type Fault, planFaults } from "../../src/testing/faultPlan.ts"
import { choicesOf, type SimulateOptions, shrink, simulate } from "../../src/testing/index.ts"
import { SimDisk } from "../../src/testing/simDisk.ts"
import { SimNetwork } from "../../src/testing/simNetwork.ts"
import { VirtualTime } from "../../src/testing/virtualTime.ts"
import { trafficByKind, trafficSince } from "../../src/testing/traffic.ts"
import { deafToWants } from "./support.ts"

/** For machines that others share. */
const SLOW = { timeout: 120_000 }
const broadcast = [{ text: "a" }, { text: "b" }, { text: "c" }]
const RB: Omit<SimulateOptions, "seed"> = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 0,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast }),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
}
const [key, value] = ["k", "v"]
const submit = [{ command: { case: "put", value: { key, value } } }]
const PAXOS: Omit<SimulateOptions, "seed"> = {
  ...RB,
  spec: Paxos.spec,
  nodes: 3,
  model: "crash",
  leader: 1,
  choices: choicesOf(Paxos.spec, { submit })
}

const runAll = (time: VirtualTime): void => {
  while (time.next());
}

/** Everything that was traced, over some seeds; no run may fail. */
const happened = (options: Omit<SimulateOptions, "seed">, seeds: number): string => {
  const lines: Array<string> = []
  for (let seed = 1; seed <= seeds; seed++) {
    const run = simulate({ ...options, seed, trace: (line) => void lines.push(line) })
    expect(run.failure, `seed ${seed}`).toBeUndefined()
  }
  return lines.join("\n")
}

describe("planned faults", () => {
  const OPTIONS = {
    ...{ nodes: [1, 2, 3, 4, 5], clients: [100_000, 100_001], crashing: [1, 2, 3, 4, 5] },
    ...{
      forgetting: [2],
      begunAnew: true,
      durable: true,
      fromMs: 300,
      untilMs: 3500,
      gapMsMax: 300
    },
    downMsMax: 1000
  }
  const planned = Array.from({ length: 200 }, (_, i) => planFaults(new Prng(i), OPTIONS))
  const faults: ReadonlyArray<Fault> = planned.flat().map(({ fault }) => fault)

  it("are of every kind, within their time, and the same for one seed", () => {
    expect(new Set(faults.map(({ kind }) => kind)).size).toBe(8)
    for (const { atMs } of planned.flat()) {
      expect(atMs).toBeGreaterThanOrEqual(300)
      expect(atMs).toBeLessThan(3500)
    }
    expect(planFaults(new Prng(7), OPTIONS)).toEqual(planned[7])
    expect(faults.filter(({ kind }) => kind === "diskLost")).toHaveLength(200)
  })

  it("part the group into two and three, around a bridge, and into a ring", () => {
    const shapes = new Set<string>()
    for (const fault of faults) {
      if (fault.kind !== "cut") continue
      const members = fault.pairs.filter(([, b]) => b <= 5)
      const cutOff = [1, 2, 3, 4, 5].map(
        (node) => members.filter((pair) => pair.includes(node)).length
      )
      shapes.add(cutOff.sort().join(""))
    }
    // How many of the four others each of five nodes does not see.
    expect(shapes).toContain("22233")
    expect(shapes).toContain("33334")
    expect(shapes).toContain("02222")
    expect(shapes).toContain("22222")
  })

  it("without disks are none of disks, and crash nobody that may not", () => {
    const options = { ...OPTIONS, durable: false, crashing: [], forgetting: [] }
    const kinds = Array.from({ length: 100 }, (_, i) => planFaults(new Prng(i), options))
      .flat()
      .map(({ fault }) => fault.kind)
    expect(new Set(kinds)).toEqual(new Set(["cut", "mute", "clockJumps", "clientDies"]))
  })

  it("can be left out one by one, and the rest stays as it was", () => {
    const all = simulate({ ...RB, seed: 3 })
    const none = simulate({ ...RB, seed: 3, drop: new Set(all.faults.map((_, i) => i + 1)) })
    expect([none.crashes, none.failure]).toEqual([0, undefined])
    expect(none.faults).toEqual(all.faults)
    const again = simulate({ ...RB, seed: 3, drop: new Set([2]) })
    expect(again.hash).not.toBe(all.hash)
    expect(again.hash).toBe(simulate({ ...RB, seed: 3, drop: new Set([2]) }).hash)
  })

  it("of a failing run are shrunk to those that it takes", () => {
    const options = { ...RB, decorate: deafToWants }
    let seed = 1
    while (simulate({ ...options, seed }).failure === undefined) seed++
    const { run, drop } = shrink({ ...options, seed })!
    expect(run.failure).toBeDefined()
    expect(run.faults.length).toBeGreaterThan(5)
    expect(run.faults.length - drop.size).toBeLessThan(4)
    expect(simulate({ ...options, seed, drop }).failure).toBe(run.failure)
    expect(shrink({ ...RB, seed: 1 })).toBeUndefined()
  })
})

describe("a link cut one way", () => {
  const TIMING = { delayMsMax: 5, slowPerMille: 0, slowMsMax: 5, dialMsMax: 30, noticeMsMax: 60 }

  it("loses all that is said behind the first loss, until it is noticed dead", () => {
    const time = new VirtualTime()
    const network = new SimNetwork(time, new Prng(1), TIMING)
    const told: { [end: number]: Array<string> } = { 1: [], 2: [] }
    network.join(1, 2)
    for (const end of [1, 2]) {
      network.attach(end, {
        hello: () => ({ storeId: "", horizonMs: 0 }),
        opened: () => told[end]!.push("open"),
        closed: () => told[end]!.push("close"),
        receive: (_, bytes) => told[end]!.push(String(bytes[0]))
      })
    }
    const say = (atMs: number, from: number, value: number): void =>
      time.after(atMs, () => void network.send(from, 3 - from, Uint8Array.of(value)))
    time.after(100, () => network.mute(1, 2, 50))
    for (const [at, value] of [
      [90, 1],
      [110, 2],
      [160, 3]
    ] as const)
      say(at, 1, value)
    say(120, 2, 4)
    say(3000, 1, 5)
    runAll(time)
    expect(told[2]).toEqual(["open", "1", "close", "open", "5"])
    expect(told[1]).toEqual(["open", "4", "close", "open"])
    expect(network.traffic()).toEqual([
      { from: 1, to: 2, kind: "bytes", messages: 4, bytes: 4 },
      { from: 2, to: 1, kind: "bytes", messages: 1, bytes: 1 }
    ])
    const before = network.traffic()
    network.send(1, 2, Uint8Array.of(1, 2), "word")
    const since = trafficSince(before, network.traffic())
    expect(since).toEqual([{ from: 1, to: 2, kind: "word", messages: 1, bytes: 2 }])
    expect(trafficByKind(before, since)).toEqual({
      bytes: { messages: 5, bytes: 5 },
      word: { messages: 1, bytes: 2 }
    })
  })
})

describe("a disk that fails", () => {
  const DISK = { syncMsMax: 10, slowPerMille: 0, slowMsMax: 10 }

  it("refuses a write, of which any part may stay, and works again after a crash", () => {
    const kept = new Set<number>()
    for (let seed = 1; seed <= 50; seed++) {
      const time = new VirtualTime()
      const disk = new SimDisk(time, new Prng(seed), DISK)
      const answers: Array<string | undefined> = []
      disk.fail()
      disk.mount().append("log", [Uint8Array.of(1, 2, 3)], (failure) => answers.push(failure))
      runAll(time)
      expect(answers).toEqual(["no space left on device"])
      expect(disk.refused).toBe(true)
      disk.crash()
      const after = disk.mount()
      if (after.list().length > 0) kept.add(after.read("log").length)
      after.append("log", [Uint8Array.of(4)], (failure) => answers.push(failure))
      runAll(time)
      expect(answers[1]).toBeUndefined()
    }
    expect([...kept].sort()).toEqual([0, 1, 2, 3])
  })

  it("ends no sync while it is stalled", () => {
    const time = new VirtualTime()
    const disk = new SimDisk(time, new Prng(1), DISK)
    disk.stall(2000)
    let doneMs = 0
    disk.mount().append("log", [Uint8Array.of(1)], () => (doneMs = time.nowMs))
    runAll(time)
    expect(doneMs).toBeGreaterThan(2000)
    expect(doneMs).toBeLessThan(2100)
  })
})

describe("a group", () => {
  it("without durability goes on while as many restart as may fail", SLOW, () => {
    expect(happened({ ...RB, durable: false }, 150)).toContain("crash 0")
  })

  it("without durability has no lanes: a node would speak there again, and otherwise", () => {
    expect(() => simulate({ ...PAXOS, durable: false, seed: 1 })).toThrow(/paxos.* has lanes/)
  })

  it.each([
    ["broadcast", RB],
    ["paxos", PAXOS]
  ])("goes on without those that lost their disks, which nobody hears: %s", SLOW, (_, options) => {
    const lines = happened(options, 120)
    expect(lines).toContain("lost its disk")
    expect(lines).toContain("refused its empty disk")
    expect(lines).toContain("halted")
    // A crash group has no means against an operator who begins anew what has spoken.
    expect(lines.includes("refused the store of")).toBe(options === RB)
  })
})
