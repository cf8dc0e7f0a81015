/** The call table under random schedules, against an oracle. */
import { describe, expect, it } from "vitest"
import type { ErrorCode } from "../src/base/errorCode.ts"
import type { NodeId } from "../src/base/NodeId.ts"
import { Prng } from "../src/base/prng.ts"
import { threshold } from "../src/quorum/Policy.ts"
import { openedMs } from "../src/server/laneKey.ts"
import type { Reply, Request } from "../src/server/Message.ts"
import { CallOracle, type Watched } from "./support/callOracle.ts"
import { CallWorld, EMPTY } from "./support/callWorld.ts"

const TRANSIENT = ["overloaded", "too_early", "redirect", "window", "not_ready"] as const
const FINAL = ["invalid", "internal", "conflict", "poisoned"] as const
const KINDS = ["multiparty", "quorum", "quorum", "rpc", "multicast"] as const

interface Copy {
  readonly to: NodeId
  readonly request: Request
  readonly call: Watched
}

class Run {
  readonly random: Prng
  readonly world: CallWorld
  readonly oracle: CallOracle
  readonly nodes: number
  readonly ids = new Map<Watched, number>()
  /** Copies that nodes have and may answer. */
  held: Array<Copy> = []
  readonly past: Array<{ readonly copy: Copy; readonly reply: Reply }> = []

  constructor(seed: number) {
    this.random = new Prng(seed)
    this.nodes = 1 + this.random.below(5)
    const windowCalls = 1 + this.random.below(8)
    this.world = new CallWorld({
      nodes: this.nodes,
      model: this.random.pick(["crash", "byzantine"]),
      limits: { windowCalls, linkBytes: this.random.pick([40, 400, 1_000_000]) },
      random: (below) => this.random.below(below)
    })
    this.oracle = new CallOracle(this.world, windowCalls)
  }

  step(): void {
    const { random } = this
    this.oracle.step++
    const dice = random.below(100)
    if (dice < 22) this.start()
    else if (dice < 27) this.cancel()
    else if (dice < 60) this.answer(random.chance(350))
    else if (dice < 64) this.repeatReply()
    else if (dice < 72) this.linkDown()
    else if (dice < 84) this.linkUp()
    else this.world.pass(random.below(random.pick([3, 60, 800])))
    this.settle()
  }

  /** Takes what was sent, and compares. */
  settle(): void {
    for (const { to, message } of this.world.take()) {
      this.oracle.sent(to, message)
      if (message.kind !== "request") continue
      const call = this.oracle.calls.find(({ body }) => body === message.body)!
      this.held.push({ to, request: message, call })
    }
    this.oracle.check(this.world.core.size()["calls"]!)
  }

  start(deadlineMs = this.random.pick([20, 400, 5_000, 60_000])): void {
    const { random, world, oracle } = this
    const kind = random.pick(KINDS)
    const size = kind === "rpc" ? 1 : 1 + random.below(this.nodes)
    const members = [...world.system.members]
    const targets = Array.from({ length: size }, () =>
      members.splice(random.below(members.length), 1)
    )
    const call: Watched = {
      number: oracle.calls.length + 1,
      kind,
      targets: targets.flat(),
      needed: kind === "multicast" ? size : 1 + random.below(size),
      dueMs: world.nowMs + deadlineMs,
      body: new Uint8Array(1 + random.below(20)),
      replied: new Set(),
      failed: new Set(),
      expired: new Set(),
      counted: [],
      names: new Map(),
      copies: new Map(),
      repeated: false,
      cancelled: false,
      ends: 0,
      endedStep: 0,
      result: undefined
    }
    oracle.calls.push(call)
    const policy = threshold<number>(call.needed)
    const id = world.core.start({
      method: 7,
      call: kind,
      targets: call.targets,
      body: () => call.body,
      decode: (body) => {
        if (body.length === 0) throw new Error("empty")
        return body[0]!
      },
      policy: {
        start: (system, ranks) => {
          const count = policy.start(system, ranks)
          const on: typeof count.on = (from, reply) => {
            call.counted.push(from)
            return count.on(from, reply)
          }
          return { ...count, on }
        }
      },
      deadlineMs,
      done: (result) => {
        call.ends++
        call.result = result
        call.endedStep = oracle.step
      }
    })
    this.ids.set(call, id)
  }

  cancel(): void {
    const open = this.oracle.open()
    if (open.length === 0) return
    const call = this.random.pick(open)
    call.cancelled = true
    this.world.core.cancel(this.ids.get(call)!)
    call.endedStep = this.oracle.step
  }

  /** A node answers a copy it has; `badly`: with a refusal or a failure. */
  answer(badly: boolean): void {
    if (this.held.length === 0) return
    const { random } = this
    const [copy] = this.held.splice(random.below(this.held.length), 1)
    const reply: Reply = { ...nameOf(copy!), kind: "reply", body: Uint8Array.of(1) }
    if (!badly) return this.deliver(copy!, reply)
    const dice = random.below(10)
    if (dice === 0) this.deliver(copy!, { ...reply, body: new Uint8Array(0) })
    else if (dice === 1) this.expire(copy!, reply)
    else if (dice < 4) this.deliver(copy!, { ...reply, code: random.pick(FINAL) })
    else {
      const code: ErrorCode = random.pick(TRANSIENT)
      this.deliver(copy!, { ...reply, code, node: 1 + random.below(this.nodes + 1) })
    }
  }

  expire(copy: Copy, reply: Reply): void {
    const horizonMs = openedMs(copy.request.session) + this.random.below(3) - 1
    this.tell(copy.to, horizonMs)
    this.deliver(copy, { ...reply, code: "session_expired", horizonMs })
  }

  tell(node: NodeId, horizonMs: number): void {
    if (horizonMs > this.world.nowMs + this.world.limits.sessionAheadMsMax) return
    const { horizonMs: told } = this.oracle
    told.set(node, Math.max(told.get(node) ?? 0, horizonMs))
  }

  deliver(copy: Copy, reply: Reply): void {
    const { oracle } = this
    const { call, to, request } = copy
    const current = oracle.called(call, to) === `${request.session}/${request.index}`
    if (current && oracle.expected(call) === "open" && !oracle.final(call, to)) {
      this.expect(copy, reply)
    }
    this.past.push({ copy, reply })
    this.world.core.onReply(to, reply)
  }

  /** What the oracle makes of a reply that counts. */
  expect({ call, to, request }: Copy, { code, body }: Reply): void {
    const copy = call.copies.get(to)!
    if (code === undefined) (body.length === 0 ? call.failed : call.replied).add(to)
    else if (TRANSIENT.some((transient) => transient === code)) copy.refused = true
    else if (code === "session_expired" && this.oracle.renames(call, to, request)) {
      call.repeated = true
      call.names.delete(to)
      call.copies.delete(to)
    } else {
      call.failed.add(to)
      if (code === "session_expired") call.expired.add(to)
    }
  }

  /** The same reply again, or a late one. Refusals are not repeated: they speak of a copy. */
  repeatReply(): void {
    const final = this.past.filter(({ reply }) => reply.code === undefined)
    if (final.length === 0) return
    const { copy, reply } = this.random.pick(final)
    this.deliver(copy, reply)
  }

  linkDown(): void {
    const node = 1 + this.random.below(this.nodes)
    this.world.down(node, "cut")
    this.held = this.held.filter(({ to }) => to !== node)
  }

  linkUp(node = 1 + this.random.below(this.nodes)): void {
    const { random, world, oracle } = this
    const horizonMs = random.chance(800) ? 0 : world.nowMs + random.below(200)
    oracle.link.set(node, (oracle.link.get(node) ?? 0) + 1)
    this.held = this.held.filter(({ to }) => to !== node)
    this.tell(node, horizonMs)
    world.hello(node, horizonMs)
  }

  /** Faults stop: all links are up, everything is answered. */
  heal(): void {
    for (const node of this.world.system.members) {
      this.linkUp(node)
      this.settle()
    }
    for (let i = 0; i < 20 * this.oracle.calls.length; i++) {
      this.oracle.step++
      if (this.held.length > 0) this.answer(false)
      else this.world.pass(1)
      this.settle()
    }
    this.world.pass(this.world.limits.retryMsMax)
    this.settle()
    while (this.held.length > 0) {
      this.oracle.step++
      this.answer(false)
      this.settle()
    }
  }
}

const nameOf = ({ request: { session, index } }: Copy) => ({ session, index })

describe("a call table under breaking links, lost and repeated replies, refusals, lies", () => {
  it.each(Array.from({ length: 10 }, (_, i) => i * 10))(
    "ends each call once, as the oracle says: seeds from %i",
    (from) => {
      for (let seed = from; seed < from + 10; seed++) {
        const run = new Run(seed)
        try {
          for (let i = 0; i < 250; i++) run.step()
          const late = run.oracle.open().filter(({ dueMs }) => dueMs > run.world.nowMs + 30_000)
          run.heal()
          for (const call of late) expect(call.result).toBeDefined()
          run.world.pass(60_000)
          run.settle()
          expect(run.world.core.size()).toMatchObject({ ...EMPTY, sessions: expect.any(Number) })
          for (let i = 0; i < 10; i++) run.start()
          run.world.core.close()
          expect(run.world.core.size()).toEqual(EMPTY)
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
        }
      }
    }
  )
})
