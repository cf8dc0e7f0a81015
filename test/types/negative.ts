/**
 * What must not compile, and which types come out where it does: handlers without a world. Behind
 * `@ts-expect-error` stands why; the compiler's words are in negative.txt. Only the compiler runs
 * these files.
 */
import { create } from "@bufbuild/protobuf"
import { Effect } from "effect"
import { type ClientCall, Failed, type Service, type System, type Vote } from "quorate"
import { Kv } from "../plugin/golden/ts/kv/v1/kv_quorate.ts"
import { type Slot, TwinSchema } from "../plugin/golden/ts/kv/v1/types_pb.ts"
import {
  DeliverySchema,
  type Message,
  MessageSchema,
  ReliableBroadcast
} from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import { Audit, idle, is, Ledger } from "./is.ts"

const { protocol } = ReliableBroadcast
const rest = { echo: idle, ready: idle }

// forwards: only declared ones, only right messages
protocol({
  broadcast: ({ message, call, copy, self, system, bodyBytesMax, forward }) => {
    is<typeof message, Message>(true)
    is<typeof call, ClientCall>(true)
    is<typeof copy, number>(true)
    is<typeof self, number>(true)
    is<typeof system, System>(true)
    is<typeof bodyBytesMax, number>(true)
    // @ts-expect-error Property 'ready' does not exist: Broadcast forwards to Echo
    forward.ready(message)
    // @ts-expect-error 'txt' does not exist. Did you mean to write 'text'?
    forward.echo({ txt: "a" })
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    forward.echo({ text: 1 })
    // @ts-expect-error Type '"kv.v1.Twin"' is not assignable to type '"rb.v1.Message"'
    forward.echo(create(TwinSchema))
    // @ts-expect-error a spread keeps the $typeName of the other message
    forward.echo({ ...create(DeliverySchema, { text: "a" }) })
    // @ts-expect-error Type '"five"' is not assignable to type 'Target'
    forward.echo(message, { to: "five" })
    // @ts-expect-error 'again' does not exist in type 'ForwardOptions'
    forward.echo(message, { again: true })
    const same = create(MessageSchema, { text: "a" })
    forward.echo({ ...same, text: "b" })
    forward.echo({})
    return [forward.echo(message), forward.echo({ text: "a" }, { to: [1, 2] })]
  },
  ...rest
})

// replies
protocol({
  broadcast: ({ reply, refuse, fail }) => {
    refuse.redirect(3)
    refuse.overloaded()
    // @ts-expect-error '"out of paper"' is not assignable to type 'FailCode'
    fail("out of paper", "")
    // @ts-expect-error Argument of type '"overloaded"' is not assignable: a refusal, no failure
    fail("overloaded", "")
    return [reply({ text: "at once" }), fail("conflict", "why")]
  },
  echo: ({ reply, message, author, call, ...context }) => {
    is<typeof author, number>(true)
    // @ts-expect-error 'txt' does not exist in type 'MessageInit<Delivery>'
    reply({ txt: "a" })
    // @ts-expect-error a Message is no Delivery
    reply(message)
    // @ts-expect-error Property 'refuse' does not exist: no copy of a call is at hand in a phase
    context.refuse
    // @ts-expect-error Property 'apply' does not exist: no lane, no order
    context.apply
    return reply({ text: message.text }, { call })
  },
  ready: { quorum: ({ reply, votes }) => reply({ text: votes.message.text }) }
})

// handlers: none missing, none too many, all return a directive
// @ts-expect-error Property 'ready' is missing
protocol({ broadcast: idle, echo: idle })
// @ts-expect-error not assignable to type '"redy" is not a method of this service'
protocol({ broadcast: idle, ...rest, redy: idle })
// @ts-expect-error Type 'Message' is not assignable to type 'Result'
export const broken = protocol({ broadcast: ({ message }) => message, ...rest })
// One mistake is one error: a program that runs the protocol has none.
is<typeof broken, Service.Protocol<ReliableBroadcast, never>>(true)
// @ts-expect-error Type 'undefined' is not assignable to type 'Result'
protocol({ broadcast: ({ wait, copy }) => (copy > 1 ? wait : undefined), ...rest })
// @ts-expect-error 'forward.echo' was not called
protocol({ broadcast: ({ forward }) => forward.echo, ...rest })
// @ts-expect-error Property 'state' does not exist: a protocol without a world has none
protocol({ broadcast: ({ state, wait }) => wait, ...rest })
// @ts-expect-error a MULTIPARTY method takes calls, not votes
protocol({ broadcast: { quorum: idle }, ...rest })

// quorum functions
protocol({
  broadcast: idle,
  echo: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, wait, ...context }) => {
      is<typeof votes.value, string>(true)
      is<typeof votes.message, Message>(true)
      is<typeof votes.author, number>(true)
      is<typeof votes.mine, boolean>(true)
      is<typeof votes.count, number>(true)
      is<typeof votes.certificate, ReadonlyArray<Vote<Message>>>(true)
      is<typeof votes.all, ReadonlyArray<Vote<Message>>>(true)
      // @ts-expect-error Argument of type 'number' is not assignable to parameter of type 'Quorum'
      votes.agreed(3)
      // @ts-expect-error Property 'index' does not exist: only lanes have one
      context.index
      // @ts-expect-error Type 'string' is not assignable to type 'Uint8Array': no signed request
      context.admit({ session: "", index: 1 })
      return votes.agreed(system.quorum) && votes.agreed(system.oneHonest) ? [] : wait
    }
  },
  ready: {
    quorum: ({ votes, wait }) => {
      is<typeof votes.value, Message>(true)
      return wait
    }
  }
})
// @ts-expect-error 'quorom' does not exist in type QuorumFunction
protocol({ broadcast: idle, ready: idle, echo: { agreeOn: (m) => m.text, quorom: () => 1 } })
// @ts-expect-error 'agreedOn' does not exist in type QuorumFunction
protocol({ broadcast: idle, ready: idle, echo: { agreedOn: () => "", quorum: idle } })
// @ts-expect-error Property 'txt' does not exist on type 'Message'
protocol({ broadcast: idle, ready: idle, echo: { agreeOn: (m) => m.txt, quorum: idle } })
// @ts-expect-error Type '{ t: string; }' is not assignable to type 'Value'
protocol({ broadcast: idle, ready: idle, echo: { agreeOn: (m) => ({ t: m.text }), quorum: idle } })
// @ts-expect-error 'lane' does not exist: a protocol without a world has no lanes
protocol({ broadcast: idle, ready: idle, echo: { lane: "slots", index: () => 1, quorum: idle } })
// @ts-expect-error 'instance' does not exist: votes belong to the call
protocol({ broadcast: idle, ready: idle, echo: { instance: () => 1, quorum: idle } })

const put = (ledger: Ledger["Service"]) => ledger.put("a")
// Effects: entry handlers only, requirements are a union, errors must be Failed
const effectful = protocol({
  broadcast: Effect.fnUntraced(function* ({ message, forward }) {
    yield* Ledger.use((l) => l.put(message.text)).pipe(
      Effect.catchTag("DbError", (e) => new Failed({ code: "internal", detail: e.why }))
    )
    return forward.echo(message)
  }),
  ...rest
})
is<typeof effectful, Service.Protocol<ReliableBroadcast, Ledger>>(true)
protocol({
  // @ts-expect-error Type 'DbError' is missing the following properties from type 'Failed'
  broadcast: ({ wait }) => Effect.as(Ledger.use(put), wait),
  ...rest
})
protocol({
  broadcast: idle,
  // @ts-expect-error an Effect is no Step: phases are synchronous
  echo: ({ wait }) =>
    Effect.as(
      Audit.use((a) => a.ok),
      wait
    ),
  ready: idle
})
protocol({
  broadcast: idle,
  // @ts-expect-error an Effect is no Step: quorum functions are synchronous
  echo: { quorum: ({ wait }) => Effect.succeed(wait) },
  ready: idle
})

// every kind of call; a phase shared by two calls replies by name
export const kv = Kv.protocol({
  put: ({ message, forward, wait }) =>
    Effect.as(
      Audit.use((a) => a.ok),
      [forward.accept({ command: message.value }), wait]
    ),
  get: ({ forward }) => {
    // @ts-expect-error Property 'learn' does not exist: Get forwards to Accept alone
    forward.learn({})
    return forward.accept({})
  },
  read: ({ reply, call, ...context }) => {
    is<typeof call.key, string>(true)
    // @ts-expect-error Property 'forward' does not exist: a node answers a QUORUM call alone
    context.forward
    return reply({ value: new Uint8Array() })
  },
  info: ({ reply, ...context }) => {
    // @ts-expect-error Property 'forward' does not exist: an RPC forwards to nothing
    context.forward
    return reply({})
  },
  hint: ({ wait, ...context }) => {
    // @ts-expect-error Property 'reply' does not exist: nobody answers a multicast
    context.reply
    // @ts-expect-error Property 'call' does not exist: a multicast is no call
    context.call
    return wait
  },
  tell: ({ message, ignore }) =>
    Effect.as(
      Ledger.use((l) => l.ok),
      ignore(message.key)
    ),
  plain: ({ reply }) => reply({}),
  accept: ({ message, forward }) => {
    // @ts-expect-error Property 'accept' does not exist on type 'Forward<KvMethods, "accept">'
    forward.accept(message)
    return forward.learn(message)
  },
  learn: {
    agreeOn: (m) => [m.slot, m.command],
    quorum: ({ votes, system, forward, reply, call, wait }) => {
      is<typeof forward, {}>(true)
      is<typeof call.key, string>(true)
      // @ts-expect-error Property 'method' does not exist: not every node knows which call it is
      call.method
      const [slot, command]: readonly [number, Uint8Array] = votes.value
      is<typeof votes.message, Slot>(true)
      // @ts-expect-error not callable: choose reply.put or reply.get
      reply({ ok: slot > 0 })
      // @ts-expect-error 'value' does not exist in type 'MessageInit<PutReply>'
      reply.put({ value: command })
      return votes.agreed(system.quorum) ? reply.put({ ok: true }) : wait
    }
  }
})
is<typeof kv, Service.Protocol<Kv, Audit | Ledger>>(true)
