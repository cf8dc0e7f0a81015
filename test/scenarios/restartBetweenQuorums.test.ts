/**
 * Of four nodes one lies, and so does the client: "a" to nodes 1 and 2, "b" to node 3. Node 1 says
 * echo and ready for "a", and "a" is delivered. Then node 1 is started again, and asked to say "b".
 */
import { describe, expect, it } from "vitest"
import { methodId, type PeerMessage } from "../../src/server/Message.ts"
import { bracha, json, request, session } from "../support/engines.ts"
import { Hosts } from "../support/hosts.ts"
import { SteppedDisk } from "../support/logs.ts"

const LIAR = 4
const OPENED_MS = 99_000
const broadcast = (text: string) =>
  request("rb", "broadcast", { text }, { session: session(1, OPENED_MS) })

class Attack extends Hosts {
  #said = 0

  constructor(durable: boolean) {
    super(bracha, 4, { liars: [LIAR], durable })
    for (const id of [1, 2, 3]) this.cut(id, LIAR)
    this.atMs = OPENED_MS + 1_000
  }

  /** The liar says what it is asked to, to each of these. */
  say(phase: "echo" | "ready", text: string, ...to: ReadonlyArray<number>): void {
    for (const id of to) {
      this.link(id, LIAR)
      this.lie(LIAR, id, {
        kind: "word",
        position: ++this.#said,
        lane: session(1, OPENED_MS),
        index: 1,
        method: methodId(`rb/${phase}`),
        round: 0,
        ackedBelow: 1,
        body: json.encode({ text })
      })
    }
  }

  /** Nodes 1 and 2 make a quorum of "a" with the liar; node 3 hears of none of it. */
  first(): void {
    this.call(1, broadcast("a"))
    this.call(2, broadcast("a"))
    this.call(3, broadcast("b"))
    for (const phase of ["echo", "ready"] as const) this.say(phase, "a", 1, 2)
    const ready = (m: PeerMessage) => m.kind === "word" && m.method === methodId("rb/ready")
    // Node 1 dies before it hears that node 2 is ready.
    this.settle((from, to, m) => from !== 3 && to !== 3 && !(to === 1 && ready(m)))
    expect(this.answers()).toEqual(['2: {"text":"a"}'])
    expect(this.said(1)).toEqual(["echo a", "ready a"])
  }

  /** What a node would say again if it were asked. */
  said(id: number): ReadonlyArray<string> {
    const { entries } = this.core(id).engine.checkpoint()
    return entries.flatMap((e) => {
      if (e.kind !== "word") return []
      const phase = ["echo", "ready"].find((name) => e.method === methodId(`rb/${name}`))
      return `${phase} ${(json.decode(e.body) as { text: string }).text}`
    })
  }

  /** All that may make a quorum of "b": node 3 wants it, client and liar ask for it. */
  second(): void {
    if (this.alive(1)) {
      this.link(1, 3)
      this.call(1, broadcast("b"))
    }
    for (const phase of ["echo", "ready"] as const) {
      this.say(phase, "b", ...[1, 3].filter((id) => this.alive(id)))
      this.settle((from, to) => from !== 2 && to !== 2)
    }
    // And then everybody hears everybody.
    this.cut(2, 3)
    this.link(2, 3)
    if (this.alive(1)) this.link(1, 2)
    this.settle()
  }

  get delivered(): ReadonlyArray<string> {
    return this.answers().filter((answer) => answer.endsWith("}"))
  }
}

describe("restart between two quorums: nobody delivers a second value", () => {
  it("where the node has its disk: it repeats its words, and all deliver the first", () => {
    const group = new Attack(true)
    group.first()
    group.crash(1)
    expect(group.boot(1)).toBeUndefined()
    group.second()
    expect(group.delivered).toEqual([2, 3, 1].map((id) => `${id}: {"text":"a"}`))
    expect(group.said(1)).toEqual(["echo a", "ready a"])
  })

  it("where its disk is lost: it does not start", () => {
    const group = new Attack(true)
    group.first()
    group.crash(1)
    group.disks.set(1, new SteppedDisk())
    expect(group.boot(1)?.what).toBe("the folder is empty or missing")
    group.second()
    expect(group.delivered).toEqual(['2: {"text":"a"}'])
  })

  it("where an operator vouches, wrongly, for the empty disk: its peers refuse it by name", () => {
    const group = new Attack(true)
    group.first()
    group.crash(1)
    group.disks.set(1, new SteppedDisk())
    expect(group.boot(1, true)).toBeUndefined()
    group.second()
    expect(group.delivered).toEqual(['2: {"text":"a"}'])
    expect(new Set(group.refused)).toEqual(
      new Set(["3 refuses 1: wrong_store", "2 refuses 1: wrong_store"])
    )
  })

  it("in a group without durability: it keeps out of sessions that an earlier life knew", () => {
    const group = new Attack(false)
    group.first()
    group.crash(1)
    group.boot(1)
    group.second()
    expect(group.delivered).toEqual(['2: {"text":"a"}'])
    expect(group.said(1)).toEqual([])
    expect(group.answers()).toContain("1: session_expired")
  })
})
