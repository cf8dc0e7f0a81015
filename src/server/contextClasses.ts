/**
 * The shapes of what handlers get. What is the same for every message of a method, its directive
 * constructors and the protocol's state, is the prototype of its contexts: so one costs a few
 * fields.
 */
import type { NodeId } from "../base/NodeId.ts"
import { CallView, calledAs } from "./callView.ts"
import { isSession, type LaneKey } from "./laneKey.ts"

/** The instance a phase message belongs to. */
interface At {
  readonly lane: { readonly key: LaneKey }
  readonly index: number
  readonly call: { readonly method: { readonly spec: { readonly name: string } } } | undefined
}

/** Makes what shows others the message at hand; throws where nobody signed it. */
type Prove = () => object

export interface ContextClasses {
  readonly Entry: new (message: object, call: CallView, copy: number, prove: Prove) => object
  readonly OneWay: new (message: object) => object
  readonly Message: new (
    at: At,
    round: number,
    message: object,
    author: NodeId,
    prove: Prove
  ) => object
  readonly Votes: new (at: At, round: number, votes: object) => object
  readonly Hook: new (event: object) => object
}

type Shared = new () => object

/** @param replies local names of the calls a phase can answer */
export const contextClasses = (
  shared: object,
  protocol: { readonly state: unknown },
  replies: ReadonlyArray<string>
): ContextClasses => {
  class Shared {}
  Object.assign(Shared.prototype, shared)
  // A checkpoint brings another object.
  Object.defineProperty(Shared.prototype, "state", { get: () => protocol.state })
  return { ...callClasses(Shared), ...phaseClasses(Shared, replies) }
}

const callClasses = (Shared: Shared) => {
  class Entry extends Shared {
    readonly message: object
    readonly call: CallView
    readonly copy: number
    readonly #prove: Prove

    constructor(message: object, call: CallView, copy: number, prove: Prove) {
      super()
      this.message = message
      this.call = call
      this.copy = copy
      this.#prove = prove
    }
    get proof(): object {
      return this.#prove()
    }
  }
  class OneWay extends Shared {
    readonly message: object

    constructor(message: object) {
      super()
      this.message = message
    }
  }
  class Hook extends Shared {
    constructor(event: object) {
      super()
      Object.assign(this, event)
    }
  }
  return { Entry, OneWay, Hook }
}

const phaseClasses = (Shared: Shared, replies: ReadonlyArray<string>) => {
  class Phase extends Shared {
    readonly index: number
    readonly round: number
    readonly #at: At

    constructor(at: At, round: number) {
      super()
      this.index = at.index
      this.round = round
      this.#at = at
    }
    /** In a session lane; in a protocol lane the message itself names calls. */
    get call(): CallView | undefined {
      const { lane, index } = this.#at
      if (!isSession(lane.key)) return undefined
      return new CallView(lane.key, index, calledAs(this.#at, replies))
    }
  }
  class Message extends Phase {
    readonly message: object
    readonly author: NodeId
    readonly #prove: Prove

    constructor(at: At, round: number, message: object, author: NodeId, prove: Prove) {
      super(at, round)
      this.message = message
      this.author = author
      this.#prove = prove
    }
    get proof(): object {
      return this.#prove()
    }
  }
  class Votes extends Phase {
    readonly votes: object

    constructor(at: At, round: number, votes: object) {
      super(at, round)
      this.votes = votes
    }
  }
  return { Message, Votes }
}
