/** A call goes where the leader is, and the leader may change while it is on its way. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { CallCore, type CallResult } from "../../src/link/callCore.ts"
import { matching } from "../../src/quorum/Policy.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { laneOfBytes, sessionKey } from "../../src/server/laneKey.ts"
import { methodId, type Request } from "../../src/server/Message.ts"
import { json, Nodes, protocolOf } from "../support/engines.ts"

/** A log whose leader gives slots out; nodes are told who leads, and answer what they accepted. */
const led = protocolOf(
  "led",
  {
    submit: [
      "multiparty",
      ({ message, call, self, state, lanes, refuse, note, forward, wait }) =>
        state.leader !== self
          ? refuse.redirect(state.leader)
          : state.pending.has(call.key)
            ? wait
            : lanes.slots.last < state.next
              ? refuse.overloaded()
              : [
                  note({ pending: call.key, slot: state.next }),
                  forward.accept({
                    ...message,
                    slot: state.next,
                    session: call.session,
                    index: call.index
                  })
                ],
      { forwards: ["accept"] }
    ],
    lead: ["rpc", ({ message, store, reply }) => [store({ leader: message.leader }), reply({})]],
    accept: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        each: ({ message, store, forward, reply }) => {
          const { session, index } = message
          const call = { session, index, method: "submit" }
          return [
            store({ slot: message.slot }),
            reply.tentative({ slot: 0 }, { call }),
            forward.learn(message)
          ]
        }
      },
      { replies: ["submit"] }
    ],
    learn: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        quorum: ({ votes, system, apply, wait }) => {
          const { text, session, index } = votes.value
          const call = { session, index, method: "submit" }
          return votes.agreed(system.quorum) ? apply({ text }, { call }) : wait
        }
      }
    ]
  },
  {
    state: () => ({ leader: 1, next: 1, pending: new Set<string>() }),
    record: json,
    evolve: (state, record) => {
      if (record.leader !== undefined) state.leader = record.leader
      if (record.pending !== undefined) state.pending.add(record.pending)
      if (record.slot !== undefined) state.next = Math.max(state.next, record.slot + 1)
    },
    lanes: { slots: { window: 8 } },
    application: {
      command: json,
      initial: () => ({ log: [] as Array<string> }),
      apply: (state, { text }) => {
        state.log.push(text)
        return { slot: state.log.length, log: state.log.join() }
      }
    }
  }
)

/** Three nodes and one client, all of production but links and disks. */
class Scene {
  readonly nodes = new Nodes(led, 3, "crash")
  readonly client: CallCore
  readonly up = new Set<NodeId>()
  readonly copies: Array<string> = []
  nowMs = 2_000
  private wakeMs = Number.POSITIVE_INFINITY
  private calls = 0

  constructor() {
    this.client = new CallCore({
      system: makeSystem(this.nodes.ids, "crash"),
      limits: LIMITS,
      ports: {
        clock: { nowMs: () => this.nowMs },
        sessionKey: (ms) => sessionKey(ms, new Uint8Array(16).fill(7)),
        send: (to, message) => {
          if (!this.up.has(to)) return false
          if (message.kind !== "request") return true
          this.copies.push(`${to}/${message.index}`)
          this.nodes.call(to, message, 10 + to)
          return true
        },
        random: () => 0,
        wake: (atMs) => {
          this.wakeMs = atMs
        }
      }
    })
  }

  connect(...ids: ReadonlyArray<NodeId>): this {
    for (const id of ids) {
      this.up.add(id)
      this.client.linkUp(id, 0)
    }
    return this
  }

  lead(leader: NodeId, ...at: ReadonlyArray<NodeId>): void {
    for (const id of at) {
      const session = sessionKey(1_000, new Uint8Array(16).fill(++this.calls))
      this.nodes.call(id, { ...this.request("lead", { leader }), session })
    }
  }

  request(method: string, message: object): Request {
    const body = json.encode(message)
    const id = methodId(`led/${method}`)
    return {
      kind: "request",
      session: "",
      index: 1,
      ackedBelow: 1,
      deadlineMs: 0,
      method: id,
      body
    }
  }

  submit(text: string): { result: CallResult<string> | undefined } {
    const caller: { result: CallResult<string> | undefined } = { result: undefined }
    this.client.start<string, string>({
      method: methodId("led/submit"),
      call: "multiparty",
      body: () => json.encode({ text }),
      targets: this.nodes.ids,
      decode: laneOfBytes,
      policy: matching((reply: string) => reply, { quorum: (system) => system.quorum }),
      deadlineMs: 60_000,
      done: (result) => {
        caller.result = result
      }
    })
    return caller
  }

  /** Lets the nodes talk, and tells the client what they say. */
  settle(): void {
    this.nodes.settle()
    for (const { from, route, reply } of this.nodes.replies.splice(0)) {
      if (route > 10 && this.up.has(from)) this.client.onReply(from, reply)
    }
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.nodes.atMs += ms
    if (this.wakeMs > this.nowMs) return
    this.wakeMs = Number.POSITIVE_INFINITY
    this.client.tick()
  }
}

const kinds = (nodes: Nodes, id: NodeId) =>
  nodes.logs.get(id)!.flatMap(({ entries }) => entries.map(({ kind }) => kind as string))

const NAME =
  "redirected call: a call that a non-leader refused is taken by the same node once it leads"

describe("redirected call", () => {
  it(NAME, () => {
    const scene = new Scene()
    const { nodes } = scene
    for (const id of [2, 3]) nodes.cut(1, id)
    scene.connect(2, 3)
    const call = scene.submit("a")
    scene.settle()
    expect(scene.copies).toEqual(["2/1", "3/1"])
    scene.lead(2, 2, 3)
    scene.pass(2_000)
    scene.settle()
    expect(scene.copies).toEqual(["2/1", "3/1", "2/1", "3/1"])
    expect(call.result).toEqual({ ok: true, answer: '{"slot":1,"log":"a"}' })
    // The node that led before hears of it, and answers a copy as the others do.
    for (const id of [2, 3]) nodes.link(1, id)
    scene.lead(2, 1)
    nodes.settle()
    expect(kinds(nodes, 1).filter((kind) => kind === "decided")).toHaveLength(1)
    nodes.call(
      1,
      { ...scene.request("submit", { text: "a" }), session: sessionOf(nodes), index: 1 },
      5
    )
    const last = nodes.replies.at(-1)!
    expect([last.from, last.route, laneOfBytes(last.reply.body)]).toEqual([
      1,
      5,
      '{"slot":1,"log":"a"}'
    ])
  })

  it("a call that two leaders in turn take is answered once, and finally", () => {
    const scene = new Scene().connect(1, 2, 3)
    const { nodes } = scene
    for (const id of [2, 3]) nodes.cut(1, id)
    const call = scene.submit("a")
    scene.settle()
    // Node 1 has proposed it, and nobody heard.
    expect(kinds(nodes, 1)).toContain("word")
    scene.lead(2, 2, 3)
    scene.pass(2_000)
    scene.settle()
    expect(call.result).toEqual({ ok: true, answer: '{"slot":1,"log":"a"}' })
    for (const id of [2, 3]) nodes.link(1, id)
    scene.settle()
    const finals = nodes.ids.map((id) => nodes.engines.get(id)!.size()["answers"])
    // Nodes 2 and 3 were told who leads, too.
    expect(finals).toEqual([1, 2, 2])
  })

  it("a node that refused a copy replies all the same, tentatively, then finally", () => {
    const scene = new Scene().connect(1, 2, 3)
    const { nodes } = scene
    const call = scene.submit("a")
    // Node 2 refused its copy and is told of the slot: it answers all the same, and stays last.
    nodes.settle()
    const told = nodes.replies.filter(({ from }) => from === 2).map(({ reply }) => reply)
    expect(told.map(({ code, tentative }) => code ?? (tentative ? "tentative" : "final"))).toEqual([
      "redirect",
      "tentative",
      "final"
    ])
    scene.settle()
    expect(call.result).toEqual({ ok: true, answer: '{"slot":1,"log":"a"}' })
    scene.pass(10_000)
    expect(scene.copies).toEqual(["1/1", "2/1", "3/1"])
  })
})

const sessionOf = (nodes: Nodes): string =>
  nodes.logs
    .get(2)!
    .flatMap(({ entries }) => entries)
    .flatMap((entry) => (entry.kind === "decided" ? entry.items : []))
    .map(({ call }) => laneOfBytes(call!.session))[0]!
