/** Work ahead of its decision: what is decided alone is seen, kept and handed on. */
import { describe, expect, it } from "vitest"
import { Nodes } from "./support/engines.ts"
import { ask, decidedOf, type Ledger, ledgerOf, put, undoable } from "./support/ledger.ts"

const commands = ({ values, session, answers }: any) =>
  values.map((value: string) =>
    answers === undefined
      ? { command: { value } }
      : { command: { value }, call: { session, index: answers, method: "put" } }
  )
const script = ({ message, apply, rollback, read, wait }: any) => {
  if (message.rollback !== undefined) return rollback(message.rollback)
  if (message.prefix !== undefined) return read(message)
  if (message.values === undefined) return wait
  return apply(commands(message), { tentative: message.tentative })
}

class Host {
  states: Array<Ledger> = []
  ran: Array<string> = []
  nodes: Nodes
  private calls = 0
  private readonly rounds = new Map<number, number>()

  constructor() {
    const apply: any = undoable.apply!
    const application = {
      ...undoable,
      initial: () => {
        this.states.push({ value: "", all: [] })
        return this.states.at(-1)
      },
      apply: (state: Ledger, command: any, context: any) => {
        this.ran.push(command.value)
        return apply(state, command, context)
      }
    }
    this.nodes = new Nodes(ledgerOf(script, application), 1, "crash")
  }
  get all(): string {
    return this.states.at(-1)!.all.join("")
  }
  tentative(slot: number, ...values: Array<string>): void {
    this.say(slot, { values, tentative: true })
  }
  final(slot: number, ...values: Array<string>): void {
    this.say(slot, { values })
  }
  rollback(slot: number, index: number): void {
    this.say(slot, { rollback: index })
  }
  private say(slot: number, message: object): void {
    const round = this.rounds.get(slot) ?? 0
    this.rounds.set(slot, round + 1)
    this.nodes.call(1, put(++this.calls, { slot, round, ...message }))
  }
}

describe("a tentative apply", () => {
  it("runs in order, and the decision for the same commands confirms it", () => {
    const host = new Host()
    host.tentative(2, "c")
    expect(host.all).toBe("")
    host.tentative(1, "a", "b")
    expect(host.all).toBe("abc")
    host.final(1, "a", "b")
    host.final(2, "c")
    expect(host.ran).toEqual(["a", "b", "c"])
    host.final(3, "d")
    expect(host.all).toBe("abcd")
  })

  it("replies tentatively, and finally once it is decided so", () => {
    const nodes = new Nodes(ledgerOf(script, undoable), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a"], tentative: true, answers: 1 }))
    nodes.call(1, put(2, { slot: 1, values: ["a"], round: 1, answers: 1 }))
    const replies = nodes.replies.map(({ reply }) => [reply.index, reply.tentative === true])
    expect(replies).toEqual([
      [1, true],
      [1, false]
    ])
  })

  it("is undone, the latest first, where other commands are decided", () => {
    const host = new Host()
    host.tentative(1, "a", "b")
    host.tentative(2, "c")
    host.final(1, "x")
    expect(host.all).toBe("x")
    host.tentative(2, "c")
    expect(host.all).toBe("xc")
    host.final(2, "c")
    expect(host.ran).toEqual(["a", "b", "c", "x", "c"])
  })

  it("is undone by rollback, from an index on", () => {
    const host = new Host()
    for (const [at, value] of ["a", "b", "c"].entries()) host.tentative(at + 1, value)
    host.rollback(4, 2)
    expect(host.all).toBe("a")
    host.tentative(5, "e")
    host.final(1, "a")
    host.final(2, "x")
    expect(host.all).toBe("ax")
  })

  it("is in no log and outlives no restart", () => {
    const host = new Host()
    host.final(1, "a")
    host.tentative(2, "b")
    expect(decidedOf(host.nodes, 1)).toHaveLength(1)
    host.nodes.boot(1)
    expect(host.all).toBe("a")
  })

  it("is seen by no read", () => {
    const host = new Host()
    host.final(1, "a")
    host.tentative(2, "b")
    host.nodes.call(1, ask(1, { prefix: ">" }))
    expect(host.nodes.answers()).toEqual(['1: {"all":">a"}'])
    host.final(2, "b")
    expect(host.all).toBe("ab")
  })

  it("that takes an Effect waits for the decision", () => {
    const apply = () => ({ effect: () => (state: Ledger) => void state.all.push("a") })
    const nodes = new Nodes(ledgerOf(script, { ...undoable, apply }), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a"], tentative: true }))
    expect(nodes.run(1)).toBe(false)
    nodes.call(1, put(2, { slot: 1, values: ["a"], round: 1 }))
    expect(nodes.run(1)).toBe(true)
  })

  it("that cannot be undone is kept in no checkpoint", () => {
    const undo = () => {
      throw new Error("no")
    }
    const nodes = new Nodes(ledgerOf(script, { ...undoable, undo }), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a"], tentative: true }))
    expect(() => nodes.engines.get(1)!.checkpoint()).toThrow("undo")
  })

  it("needs an application that can undo", () => {
    const nodes = new Nodes(ledgerOf(script), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a"], tentative: true }))
    expect(nodes.outputs.at(-1)).toMatchObject({
      output: {
        detail: "ledger/slot applies tentatively, but its application has no undo"
      }
    })
  })
})

describe("an application of its own memory", () => {
  it("goes on behind what it has, and runs nothing outside an Effect", () => {
    const ran: Array<string> = []
    const apply = (_: unknown, { value }: any) => ({
      effect: () => () => void ran.push(value)
    })
    let applied = 0
    const application = { apply, appliedIndex: () => applied }
    const nodes = new Nodes(ledgerOf(script, application), 1, "crash")
    for (const slot of [1, 2, 3]) nodes.call(1, put(slot, { slot, values: [`${slot}`] }))
    nodes.run(1)
    applied = 1
    nodes.outputs.length = 0
    nodes.boot(1)
    while (nodes.run(1));
    expect(ran).toEqual(["1", "2", "3"])
    const hasty = { apply: () => undefined, appliedIndex: () => 0 }
    const halted = new Nodes(ledgerOf(script, hasty), 1, "crash")
    halted.call(1, put(1, { slot: 1, values: ["a"] }))
    expect(halted.outputs.at(-1)?.output).toMatchObject({
      reason: "the application threw at slots/1: Error: it returned no Effect"
    })
  })

  it("is in no checkpoint, whatever its state is; what it has lost cannot be had again", () => {
    const ran: Array<string> = []
    const initial: any = () => ({ file: () => ran })
    const apply = (state: any, { value }: any) => ({
      effect: () => () => void state.file().push(value)
    })
    let applied = 0
    const application = { initial, apply, appliedIndex: () => applied }
    const nodes = new Nodes(ledgerOf(script, application), 1, "crash")
    for (const slot of [1, 2, 3]) nodes.call(1, put(slot, { slot, values: [`${slot}`] }))
    nodes.run(1)
    nodes.run(1)
    nodes.logs.set(1, [nodes.engines.get(1)!.checkpoint()])
    applied = 2
    nodes.outputs.length = 0
    nodes.boot(1)
    while (nodes.run(1));
    expect(ran).toEqual(["1", "2", "3"])
    applied = 1
    nodes.boot(1)
    expect(nodes.outputs.at(-1)?.output).toMatchObject({
      reason: "the application's own state ends at slots/1, before the log begins"
    })
  })
})
