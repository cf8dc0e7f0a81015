/** The run-time side of a service class. */
import type { DescService } from "@bufbuild/protobuf"
import { Context, Effect, Layer } from "effect"
import type { ProtocolSpec } from "../../server/Protocol.ts"
import { ClientLinks } from "../ClientLinks.ts"
import { Group } from "../Group.ts"
import { makeClient } from "./client.ts"
import { type AnyHandlers, type AnyWorld, compile } from "./compile.ts"
import { mockPort } from "./mock.ts"

/** Both halves of the typed call: `make<Self, M, C>()(descriptor)`. */
export const make = () => (descriptor: DescService) => makeClass(descriptor, undefined)

const identity = <A>(value: A): A => value

const protocolOf = (descriptor: DescService, args: ReadonlyArray<unknown>): object => {
  const [world, handlers] = args.length > 1 ? args : [undefined, args[0]]
  let spec: ProtocolSpec | undefined
  return {
    "~quorate/Protocol": { self: identity, requirements: identity },
    descriptor,
    /** Made when first asked for: while modules are evaluated, nobody could print its mistakes. */
    get spec(): ProtocolSpec {
      spec ??= compile(descriptor, handlers as AnyHandlers, world as AnyWorld | undefined)
      return spec
    }
  }
}

const makeClass = (descriptor: DescService, name: string | undefined): object => {
  const key = `quorate/${descriptor.typeName}${name === undefined ? "" : `@${name}`}`
  const Tag = Context.Service<object, object>()(key) as any
  // The key's text is its identity: one layer, and one class per name, serve every subclass.
  const others = new Map<string, object>()
  Tag.descriptor = descriptor
  Tag.protocol = (...args: ReadonlyArray<unknown>) => protocolOf(descriptor, args)
  Tag.layer = Layer.effect(
    Tag,
    Effect.map(ClientLinks, (port) => makeClient(descriptor, port))
  ).pipe(Layer.provide(Layer.unwrap(Effect.map(Group, linksOf))))
  Tag.mock = (nodes: any, options?: any) =>
    Layer.succeed(Tag, makeClient(descriptor, mockPort(descriptor, nodes, options)))
  Tag.named = (second: string) => {
    const other = others.get(second) ?? makeClass(descriptor, second)
    others.set(second, other)
    return other
  }
  return Tag
}

// A layer object is built once per program, whatever is provided to it. Services of one group are
// to share its links, those of another group must not: so there is a layer object per group.
const linksByGroup = new WeakMap<object, typeof ClientLinks.layer>()
const linksOf = (group: object): typeof ClientLinks.layer => {
  let links = linksByGroup.get(group)
  if (links === undefined) {
    links = Layer.fromBuildMemo((_, scope) =>
      Layer.buildWithMemoMap(ClientLinks.layer, Layer.makeMemoMapUnsafe(), scope)
    )
    linksByGroup.set(group, links)
  }
  return links
}
