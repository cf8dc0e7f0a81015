/**
 * A service as a class: the key of its client, and the constructor of its protocols.
 * `protoc-gen-quorate` prints the call of {@link make}; by hand it is written the same way.
 */
import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf"
import type { Context, Layer } from "effect"
import type { ProtocolSpec } from "../server/Protocol.ts"
import type { Ends, Value } from "./Context.ts"
import type { Mock, MockOptions, MultipartyCall } from "./Call.ts"
import type { Carrier } from "./Carrier.ts"
import type { Group } from "./Group.ts"
import type { AgreeOn, Handlers, LaneKeys, Projections, Requirements, Results } from "./Handlers.ts"
import * as internal from "./internal/service.ts"
import type { Method, Multiparty, Phase } from "./Method.ts"
import type { InWorld, World } from "./World.ts"

export type * from "./Call.ts"
export type * from "./Context.ts"
export type * from "./Handlers.ts"
export type * from "./Method.ts"
export type * from "./World.ts"

/** The server side of `Self`: what its nodes do. `R`: what its handlers' Effects need. */
export interface Protocol<in out Self, out R> {
  readonly "~quorate/Protocol": {
    readonly self: (self: Self) => Self
    readonly requirements: () => R
  }
  readonly descriptor: DescService
  /** The protocol as the engine takes it. Throws what is wrong with it that types do not see. */
  readonly spec: ProtocolSpec
}

/** Makes a protocol of its handlers; of a world first where it keeps state. */
export interface MakeProtocol<Self, M> {
  <
    A extends Results<M>,
    P0 extends Value = Value,
    P1 extends Value = Value,
    P2 extends Value = Value,
    P3 extends Value = Value,
    P4 extends Value = Value,
    P5 extends Value = Value,
    P6 extends Value = Value,
    P7 extends Value = Value,
    P8 extends Value = Value,
    P9 extends Value = Value,
    P10 extends Value = Value,
    P11 extends Value = Value
  >(
    handlers: Handlers<
      M,
      unknown,
      never,
      Ends<never, never>,
      A,
      Projections<M, [P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11]>
    > &
      AgreeOn<M, Projections<M, [P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11]>>
  ): Protocol<Self, Requirements<A>[keyof A]>
  <
    A extends Results<M>,
    State = undefined,
    Rec extends DescMessage = never,
    L extends string = never,
    T extends string = never,
    Cmd extends DescMessage = never,
    App = undefined,
    R = never,
    Q = never,
    Del extends DescMessage = never,
    P0 extends Value = Value,
    P1 extends Value = Value,
    P2 extends Value = Value,
    P3 extends Value = Value,
    P4 extends Value = Value,
    P5 extends Value = Value,
    P6 extends Value = Value,
    P7 extends Value = Value,
    P8 extends Value = Value,
    P9 extends Value = Value,
    P10 extends Value = Value,
    P11 extends Value = Value
  >(
    world: World<M, State, Rec, L, T, Cmd, App, R, Q, Del>,
    handlers: Handlers<
      M,
      InWorld<State, MessageInitShape<Rec>, L, T, Cmd, Q>,
      L,
      Ends<MessageInitShape<Cmd>, MessageInitShape<Del>>,
      A,
      Projections<M, [P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11]>
    > &
      AgreeOn<M, Projections<M, [P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11]>> &
      LaneKeys<M, L>
  ): Protocol<Self, Requirements<A>[keyof A] | R>
}

/** A service: key and layer of its client, and constructor of its protocols. */
export interface Class<Self, M, C> extends Context.Service<Self, C> {
  new (
    _: never
  ): Context.ServiceClass.Shape<string, C> & {
    readonly "~quorate/Service": { readonly methods: M }
  }
  readonly descriptor: DescService
  /** Says what the nodes do: one handler per method. */
  readonly protocol: MakeProtocol<Self, M>
  /** The client of the group in the context. */
  readonly layer: Layer.Layer<Self, never, Group | Carrier>
  /** A client of nodes that answer as these functions do: for tests of what calls the service. */
  readonly mock: (nodes: Mock<M>, options?: MockOptions) => Layer.Layer<Self>
  /** The same service in a second group: a key, and links, of its own. */
  readonly named: <const Name extends string>(name: Name) => Class<Named<Self, Name>, M, C>
}
/** Key of the client of a service in the group called `Name` here. */
export interface Named<Self, Name extends string> {
  readonly "~quorate/Named": { readonly self: (self: Self) => Self; readonly name: Name }
  readonly "~quorate/Service": { readonly methods: MethodsOf<Self> }
}
export type MethodsOf<Self> = Self extends {
  readonly "~quorate/Service": { readonly methods: infer M }
}
  ? M
  : never

/** Makes the class of a service from its descriptor, the types of its methods, and its client's. */
export const make: <Self, M extends { readonly [K in keyof M]: Method }, C>() => (
  descriptor: DescService
) => Class<Self, M, C> = internal.make as any

type Shape<D> = D extends DescMessage ? MessageShape<D> : never
type MethodMap<D extends DescService> = D["method"]
/**
 * The methods of a descriptor whose phases are named by hand, for use without
 * `protoc-gen-quorate`: all others are MULTIPARTY, and any phase may follow any method. The options
 * in the proto must say the same.
 */
export type From<D extends DescService, Phases extends keyof MethodMap<D> & string> = {
  readonly [K in keyof MethodMap<D>]: K extends Phases
    ? Phase<Shape<MethodMap<D>[K]["input"]>, Phases, Exclude<keyof MethodMap<D>, Phases> & string>
    : Multiparty<Shape<MethodMap<D>[K]["input"]>, Shape<MethodMap<D>[K]["output"]>, Phases>
}
/**
 * The same, where phases are the methods that return the message called `Marker`, e.g.
 * google.protobuf.Empty.
 */
export type FromMarker<D extends DescService, Marker extends string> = From<
  D,
  {
    [K in keyof MethodMap<D>]: Shape<MethodMap<D>[K]["output"]> extends {
      readonly $typeName: Marker
    }
      ? K
      : never
  }[keyof MethodMap<D>] &
    string
>
/** The calls of such methods. */
export type ClientFrom<M> = {
  readonly [K in keyof M as M[K] extends { readonly call: "phase" }
    ? never
    : K]: M[K] extends Multiparty<infer I, infer O, any> ? MultipartyCall<I, O> : never
}
