/**
 * Reliable broadcast of signed requests, one after the other: what a member proposes names a call
 * that it has finished, and counts at a node once that call is finished there too. A proposal shows
 * the client's request, so that a node works on calls that their clients never brought to it.
 */
import { NodeSet } from "../../src/base/nodeSet.ts"
import { laneOfBytes } from "../../src/server/laneKey.ts"
import type { SignedRequest } from "../../src/server/Proof.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { json, protocolOf } from "./engines.ts"

interface State {
  readonly finished: Set<string>
  last: string
}
interface Proposal {
  readonly request: SignedRequest
  /** A call, by name; "": the member has finished none. */
  readonly after: string
}

const nameOf = (session: Uint8Array, index: number): string =>
  `${Buffer.from(session).toString("hex")}/${index}`

const uint32 = (value: unknown): boolean => Number.isInteger(value) && Number(value) >>> 0 === value
/** What is decoded from JSON is anything; protobuf sees to this by itself. */
const isRequest = (it: any): it is SignedRequest =>
  [it?.session, it?.body, it?.clientKey, it?.nonce, it?.signature].every(
    (bytes) => bytes instanceof Uint8Array
  ) &&
  uint32(it.index) &&
  uint32(it.method)

const knows = (state: State, name: string): boolean => name === "" || state.finished.has(name)

const methods = protocolOf(
  "causal",
  {
    submit: [
      "multiparty",
      ({ proof, state, forward }) => forward.propose({ request: proof, after: state.last }),
      { forwards: ["propose"] }
    ],
    propose: [
      "phase",
      {
        agreeOn: ({ request }: Proposal) => laneOfBytes(request.body),
        quorum: ({ votes, state, system, call, admit, park, forward, ignore }) => {
          const { request, after }: Proposal = votes.message
          const about = (one: Proposal): boolean =>
            typeof one.after === "string" &&
            one.after.length <= 128 &&
            isRequest(one.request) &&
            nameOf(one.request.session, one.request.index) === nameOf(call.session, call.index)
          if (!about(votes.message)) return ignore("it is about another call")
          if (!knows(state, after)) return [admit(request), park(after)]
          const ranks = votes.certificate.flatMap(({ from, message }: any) =>
            about(message) && knows(state, message.after) ? [system.rank(from)] : []
          )
          const enough = system.quorum.has(NodeSet.of(system.size, ranks))
          return enough ? [admit(request), forward.ready({ body: request.body })] : admit(request)
        }
      },
      { forwards: ["ready"], replies: ["submit"] }
    ],
    ready: [
      "phase",
      {
        agreeOn: ({ body }: { readonly body: Uint8Array }) => laneOfBytes(body),
        quorum: ({ votes, system, call, store, wake, reply, forward, wait }) => {
          const name = nameOf(call.session, call.index)
          if (votes.agreed(system.quorum)) {
            return [store({ name }), wake(name), reply(json.decode(votes.message.body))]
          }
          return votes.agreed(system.oneHonest) ? forward.ready(votes.message) : wait
        }
      },
      { forwards: ["ready"], replies: ["submit"] }
    ]
  },
  {
    state: (): State => ({ finished: new Set(), last: "" }),
    record: json,
    evolve: (state: State, { name }: { readonly name: string }) => {
      state.finished.add(name)
      state.last = name
    }
  }
)

export const causal: ProtocolSpec = {
  ...methods,
  methods: methods.methods.map((method) => ({
    ...method,
    signed: method.name !== "ready",
    ...(method.name === "propose" && {
      proofs: ({ request }: any) => (isRequest(request) ? [{ kind: "request", ...request }] : [])
    })
  }))
}
