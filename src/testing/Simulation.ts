/**
 * A protocol under random schedules: many short runs, each a pure function of its seed, with nodes
 * that crash and lie, connections that break, disks that forget and clients that retry.
 */
import { type Context, Data, Effect } from "effect"
import type { NodeId } from "../base/NodeId.ts"
import type { Agreement } from "../quorum/Tally.ts"
import { agreementEquals } from "../quorum/Tally.ts"
import type { InputInit, KeyOf, MethodsOf, Output, Protocol } from "../runtime/Service.ts"
import type { MethodSpec, ProtocolSpec } from "../server/Protocol.ts"
import { callText } from "./checkAnswers.ts"
import { runEffectIn } from "./runEffect.ts"
import type { CallChoice } from "./simClient.ts"
import { type Faults, type SimulationRun, simulate } from "./simulate.ts"

/** Names of the calls of a service that the simulator's clients can make. */
type CallName<M> = KeyOf<M, "multiparty"> | KeyOf<M, "unary">

export interface Options<M> {
  readonly nodes: number
  /**
   * How many of the nodes are Byzantine: silent, withholding, or telling each receiver something
   * else. Given, also as 0, the group is Byzantine; absent, it is a crash group.
   */
  readonly byzantine?: number
  /** Runs, with seeds `seed`, `seed` + 1, …; default 100. */
  readonly runs?: number
  /** Of the first run; default 1. */
  readonly seed?: number
  /** What the clients call: several clients, each several times, in turns. */
  readonly calls: { readonly [K in CallName<M>]?: ReadonlyArray<InputInit<M, K>> }
  /** Whether nodes crash and restart from their disks; default: yes. */
  readonly crash?: boolean
  /** Nodes have disks; default: yes. Without, only as many restart as may fail. */
  readonly durable?: boolean
  /** A node without which the protocol does not go on for ever: it never loses its disk. */
  readonly leader?: NodeId
  /** "none": delays only, and nobody lies; default "all". */
  readonly faults?: Faults
}

export type Verdict = { readonly holds: true } | { readonly holds: false; readonly why: string }

/** What a correct node answered. */
export interface SimulatedReply<A> {
  readonly from: NodeId
  /** 1, 2, 3 … in the run. */
  readonly call: number
  readonly message: A
}

/** What happened in one run. */
export interface Run<M> {
  readonly seed: number
  /** Every answer of a correct node to a multiparty call, by call, then by node. */
  readonly replies: <K extends KeyOf<M, "multiparty">>(
    method: K
  ) => ReadonlyArray<SimulatedReply<Output<M, K>>>
  /** Correct nodes that answered a call answered it alike, as far as `key` sees it. */
  readonly agreement: <K extends KeyOf<M, "multiparty">>(
    method: K,
    key: (reply: Output<M, K>) => Agreement
  ) => Verdict
  /** A call that one correct node answered is in the end answered by all of them. */
  readonly totality: (method: KeyOf<M, "multiparty">) => Verdict
  /**
   * Every call whose client waited for it was answered by `needed` correct nodes, but for those
   * that their client left a window behind: a slow node lets go of them.
   */
  readonly answered: (method: KeyOf<M, "multiparty">, needed: number) => Verdict
}

/** A run did not keep a promise. The last line of the message repeats it. */
export class SimulationFailed extends Data.TaggedError("SimulationFailed")<{
  readonly seed: number
  readonly why: string
  readonly repeat: string
}> {
  override get message(): string {
    return `${this.why}\n  repeat: ${this.repeat}`
  }
}

/** What was simulated, when all went well. */
export interface Simulated {
  readonly runs: number
  /** Calls answered, over all runs. */
  readonly decided: number
  readonly steps: number
}

/**
 * Runs `protocol` under random schedules and checks in each run what Quorate promises (one word per
 * name, at most once, durability, delivery of all that was said), that correct nodes answer alike,
 * that every call is answered once faults end, and then `property`. Entry handlers' Effects
 * run synchronously, with the services of the context.
 *
 * Fails with {@link SimulationFailed} at the first run in which something does not hold.
 */
export const check = <Self, R>(
  protocol: Protocol<Self, R>,
  options: Options<MethodsOf<Self>>,
  property?: (run: Run<MethodsOf<Self>>) => Verdict | ReadonlyArray<Verdict>
): Effect.Effect<Simulated, SimulationFailed, R> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R>()
    const { runs = 100, seed: first = 1 } = options
    const { spec } = protocol
    const choices = choicesOf(spec, options.calls)
    let [decided, steps] = [0, 0]
    for (let seed = first; seed < first + runs; seed++) {
      const run = simulate({
        spec,
        nodes: options.nodes,
        byzantine: options.byzantine ?? 0,
        model: options.byzantine === undefined ? "crash" : "byzantine",
        seed,
        choices,
        faults: options.faults ?? "all",
        crash: options.crash ?? true,
        durable: options.durable ?? true,
        leader: options.leader,
        promises: { totality: false, quorums: false },
        runEffect: runEffectIn(context as Context.Context<never>)
      })
      const why = run.failure ?? firstBroken(run, spec, property)
      if (why !== undefined) {
        const repeat = `Simulation.check(${spec.name}, { …, seed: ${seed}, runs: 1 })`
        return yield* new SimulationFailed({ seed, why, repeat })
      }
      decided += run.checkers.answered
      steps += run.steps
      // Runs are long and synchronous: between two of them the check can be interrupted.
      yield* Effect.yieldNow
    }
    return { runs, decided, steps }
  })

/** The requests in `calls`, encoded. Asks for a method that clients can call, by its local name. */
export const choicesOf = (
  spec: ProtocolSpec,
  calls: { readonly [method: string]: ReadonlyArray<object> | undefined }
): ReadonlyArray<CallChoice> => {
  const choices: Array<CallChoice> = []
  const names = Object.keys(calls)
  const rounds = Math.max(0, ...names.map((name) => calls[name]?.length ?? 0))
  for (let i = 0; i < rounds; i++) {
    for (const name of names) {
      const init = calls[name]?.[i]
      if (init === undefined) continue
      const method = methodOf(spec, name)
      choices.push({ method, body: method.input.encode(init) })
    }
  }
  if (choices.length === 0) throw new RangeError("calls: name at least one request")
  return choices
}

const methodOf = (spec: ProtocolSpec, name: string): MethodSpec => {
  const method = spec.methods.find((method) => method.name === name)
  if (method === undefined) throw new RangeError(`calls: ${spec.name} has no method ${name}`)
  return method
}

const firstBroken = <M>(
  run: SimulationRun,
  spec: ProtocolSpec,
  property: ((run: Run<M>) => Verdict | ReadonlyArray<Verdict>) | undefined
): string | undefined => {
  if (property === undefined) return undefined
  const verdicts = [property(viewOf<M>(run, spec))].flat()
  for (const verdict of verdicts) if (!verdict.holds) return verdict.why
  return undefined
}

const viewOf = <M>(run: SimulationRun, spec: ProtocolSpec): Run<M> => {
  const { checkers, correct } = run
  const callsOf = (name: string) =>
    checkers.calls.flatMap((call) =>
      call.method.name === name
        ? [{ call, answers: checkers.answers.answersOf(call.key ?? "") }]
        : []
    )
  const replies = (name: string): ReadonlyArray<SimulatedReply<any>> => {
    const { output } = methodOf(spec, name)
    return callsOf(name).flatMap(({ call, answers }) =>
      correct.flatMap((from) => {
        const body = answers.get(from)
        return body === undefined ? [] : [{ from, call: call.number, message: output.decode(body) }]
      })
    )
  }
  return {
    seed: run.seed,
    replies: (method) => replies(String(method)),
    agreement: (method, key) => agreementOf(replies(String(method)), key),
    totality: (method) => {
      const why = checkers.untotal(String(method))
      return why === undefined ? HOLDS : { holds: false, why }
    },
    answered: (method, needed) => {
      for (const { call, answers } of callsOf(String(method))) {
        if (!call.demanded || answers.size >= needed) continue
        // A node that was away may have had to let go of it.
        if (call.key !== undefined && checkers.outrun(call.key)) continue
        const name = call.key === undefined ? "" : ` (${callText(call.key)})`
        const why = `answered: call ${call.number}${name} has ${answers.size} of ${needed} answers`
        return { holds: false, why }
      }
      return HOLDS
    }
  }
}

const agreementOf = (
  replies: ReadonlyArray<SimulatedReply<any>>,
  key: (reply: any) => Agreement
): Verdict => {
  const firsts = new Map<number, { readonly from: NodeId; readonly key: Agreement }>()
  for (const { call, from, message } of replies) {
    const mine = key(message)
    const first = firsts.get(call)
    if (first === undefined) firsts.set(call, { from, key: mine })
    else if (!agreementEquals(first.key, mine)) {
      const why = `agreement: nodes ${first.from} and ${from} answered call ${call} unlike`
      return { holds: false, why }
    }
  }
  return HOLDS
}

const HOLDS: Verdict = { holds: true }
