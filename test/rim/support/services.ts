/** What the rim's tests run: reliable broadcast, and a service with methods of every kind. */
import { Effect } from "effect"
import { Bracha } from "../../../examples/reliable-broadcast/bracha.ts"
import * as Rb from "../../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { Failed } from "../../../src/runtime/Failed.ts"
import { Kv } from "../../plugin/golden/ts/kv/v1/kv_quorate.ts"

export const ReliableBroadcast = Rb.ReliableBroadcast
export { Bracha, Kv }

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))

/** What one-way methods were told, by node. */
export interface Heard {
  readonly hints: Array<string>
  readonly told: Array<string>
}

/** One node's handlers of a service of every kind; its calls stay open on the key "never". */
export const kv = (heard: Heard = { hints: [], told: [] }) =>
  Kv.protocol({
    put: ({ forward, message }) => forward.accept({ command: bytes(`put ${message.key}`) }),
    get: ({ forward, message }) => forward.accept({ command: bytes(message.key) }),
    read: ({ message, reply }) =>
      message.key === "never"
        ? Effect.never
        : message.key === "missing"
          ? Effect.fail(new Failed({ code: "not_found", detail: "no such key" }))
          : Effect.succeed(reply({ value: bytes(message.key) })),
    info: ({ reply, self }) => reply({ value: bytes(`node ${self}`) }),
    hint: ({ message, ignore }) => {
      heard.hints.push(message.key)
      return ignore("heard")
    },
    tell: ({ message, ignore }) => {
      heard.told.push(message.key)
      return ignore("heard")
    },
    plain: ({ message, reply }) => reply({ value: bytes(message.key) }),
    accept: {
      agreeOn: (m) => m.command,
      quorum: ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum) ? forward.learn({ command: votes.value }) : wait
    },
    learn: {
      agreeOn: (m) => m.command,
      quorum: ({ votes, system, reply, wait }) =>
        !votes.agreed(system.quorum)
          ? wait
          : Buffer.from(votes.value).toString().startsWith("put ")
            ? reply.put({ ok: true })
            : reply.get({ value: votes.value })
    }
  })
