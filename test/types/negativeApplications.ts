/** What must not compile in protocols with an application. */
import { Effect } from "effect"
import type { Service } from "quorate"
import {
  type Command,
  CommandSchema,
  type Proposal,
  Slots
} from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import { Audit, idle, is } from "./is.ts"

const lanes = { slots: { window: 256 }, views: { window: 1 } }
const accept = { lane: "slots", index: (m: Proposal) => m.slot, each: idle } as const
const learn = { lane: "slots", index: (m: Proposal) => m.slot, quorum: idle } as const
const application = {
  command: CommandSchema,
  initial: (): Array<string> => [],
  apply: (log: Array<string>, command: Command) => ({ slot: log.push(command.text) })
}

// an Effect ends with what writes the state, and needs what it needs
const slow = Slots.protocol(
  {
    lanes,
    application: {
      command: CommandSchema,
      lane: "slots",
      initial: (): Array<string> => [],
      apply: (log, command) =>
        Effect.gen(function* () {
          yield* Audit
          is<typeof log, Array<string>>(true)
          return (state: Array<string>) => ({ slot: state.push(command.text) })
        }),
      undo: (log, _, { kept }) => {
        is<typeof kept, unknown>(true)
        log.pop()
      },
      read: (log, { below }: { below: number }) => ({ slot: log.slice(0, below).length }),
      appliedIndex: () => 0
    }
  },
  {
    submit: ({ read, snapshot, install, offer, fetch, lanes, wait, call }) => {
      is<ReturnType<typeof snapshot>["bytes"], Uint8Array>(true)
      if (call.index === 1) return install(snapshot())
      // @ts-expect-error Type 'string' is not assignable to type 'number'
      read({ below: "" })
      // @ts-expect-error Property 'bytes' is missing
      install({ index: 1 })
      // @ts-expect-error Property 'digest' is missing: not any bytes are offered
      offer({ index: 1, bytes: new Uint8Array() })
      // @ts-expect-error Property 'from' is missing
      fetch({ index: 1, digest: new Uint8Array(), length: 1 })
      const { index, digest, length } = snapshot()
      if (call.index === 3) return [offer(snapshot()), fetch({ index, digest, length, from: 2 })]
      is<typeof lanes.slots.fetching, number>(true)
      return call.index === 2 ? read({ below: 1 }, { index: 7 }) : wait
    },
    accept: {
      ...accept,
      each: ({ message, apply, rollback }) =>
        message.slot < 1
          ? rollback(message.slot)
          : apply([{ command: { text: "" }, call: message.call }], { tentative: true })
    },
    learn: {
      ...learn,
      // @ts-expect-error Property 'txt' does not exist in 'MessageInit<Command>'
      quorum: ({ apply }) => apply([{ command: { txt: "" } }])
    }
  }
)
is<typeof slow, Service.Protocol<Slots, Audit>>(true)

Slots.protocol(
  // @ts-expect-error Type '"slot"' is not assignable to type '"slots" | "views"'
  { lanes, application: { ...application, lane: "slot" } },
  { submit: idle, accept, learn }
)
Slots.protocol(
  {
    lanes,
    // @ts-expect-error an Effect ends with a function of the state
    application: { ...application, apply: () => Effect.succeed({ slot: 1 }) }
  },
  { submit: idle, accept, learn }
)
Slots.protocol(
  {
    lanes,
    // @ts-expect-error an Effect of apply cannot fail
    application: { ...application, apply: () => Effect.fail("no") }
  },
  { submit: idle, accept, learn }
)
Slots.protocol(
  { lanes, application },
  {
    submit: ({ wait, ...context }) => {
      // @ts-expect-error nothing can be asked: the application has no read
      context.read({ below: 1 })
      return wait
    },
    accept,
    learn
  }
)
Slots.protocol(
  { lanes },
  {
    submit: ({ wait, ...context }) => {
      // @ts-expect-error Property 'snapshot' does not exist: there is no application
      context.snapshot
      return wait
    },
    accept,
    learn
  }
)
