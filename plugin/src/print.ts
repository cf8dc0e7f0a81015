/** Prints a service: little, since everything that runs is in quorate. */
import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf"
import { type GeneratedFile, type Printable, safeIdentifier } from "@bufbuild/protoplugin"
import type { Kind, Method } from "./options.ts"

export interface Service {
  readonly desc: DescService
  readonly methods: ReadonlyArray<Method>
}

/** What the file protoc-gen-es makes of the same proto exports, so that one import is enough. */
export const printMessages = (f: GeneratedFile, file: DescFile, extension: string): void => {
  f.preamble(file)
  f.print(`export * from "./${file.name.split("/").pop()}_pb${extension}";`)
}

export const printTs = (f: GeneratedFile, service: Service): void => {
  const { self, types } = names(service)
  f.print()
  f.print(f.jsDoc(service.desc))
  f.print(f.export("class", self), " extends ", make(f, service, types), " {}")
  f.print()
  printTypes(f, service)
}

export const printJs = (f: GeneratedFile, service: Service): void => {
  f.print()
  f.print(f.jsDoc(service.desc))
  f.print(f.export("class", names(service).self), " extends ", make(f, service, ""), " {}")
}

export const printDts = (f: GeneratedFile, service: Service): void => {
  const { self, types } = names(service)
  const type = [f.import("Service", "quorate", true), ".Class", types]
  f.print()
  f.print("declare const ", self, "_base: ", ...type, ";")
  f.print()
  f.print(f.jsDoc(service.desc))
  f.print(f.export("declare class", self), " extends ", self, "_base {}")
  f.print()
  printTypes(f, service)
}

const names = ({ desc }: Service) => {
  const self = safeIdentifier(desc.name)
  return { self, types: `<${self}, ${desc.name}Methods, ${desc.name}Client>` }
}

const make = (f: GeneratedFile, service: Service, types: string): Array<Printable> => [
  f.import("Service", "quorate"),
  `.make${types}()(`,
  f.importSchema(service.desc),
  ")"
]

const CALLS: { readonly [K in Exclude<Kind, "phase">]: string } = {
  multiparty: "MultipartyCall",
  quorum: "QuorumCall",
  rpc: "RpcCall",
  unicast: "Unicast",
  multicast: "Multicast"
}

const printTypes = (f: GeneratedFile, { desc, methods }: Service): void => {
  f.print(f.jsDoc(`The calls of ${desc.name}.`))
  f.print(f.export("interface", `${desc.name}Client`), " {")
  for (const { kind, desc: method } of methods) {
    if (kind === "phase") continue
    f.print(f.jsDoc(method, "  "))
    f.print(
      "  readonly ",
      method.localName,
      ": ",
      ...typed(f, CALLS[kind], messages(f, kind, method))
    )
  }
  f.print("}")
  f.print()
  f.print(f.jsDoc(`What the nodes of ${desc.name} handle.`))
  f.print(f.export("interface", `${desc.name}Methods`), " {")
  for (const method of methods) {
    f.print("  readonly ", method.desc.localName, ": ", ...methodType(f, method))
  }
  f.print("}")
}

const methodType = (f: GeneratedFile, method: Method): Array<Printable> => {
  const { kind, desc } = method
  const types = messages(f, kind, desc)
  switch (kind) {
    case "multiparty":
      return typed(f, "Multiparty", [...types, union(method.forwards)])
    case "phase":
      return typed(f, "Phase", [...types, union(method.forwards), union(method.replies)])
    case "rpc":
    case "quorum":
      return typed(f, "Unary", types)
    default:
      return typed(f, "OneWay", types)
  }
}

/** What nobody answers has no output. */
const messages = (f: GeneratedFile, kind: Kind, method: DescMethod): Array<Printable> => {
  const input = f.importShape(method.input)
  const answered = kind === "multiparty" || kind === "quorum" || kind === "rpc"
  return answered ? [input, f.importShape(method.output)] : [input]
}

const typed = (
  f: GeneratedFile,
  type: string,
  args: ReadonlyArray<Printable>
): Array<Printable> => [
  f.import("Service", "quorate", true),
  `.${type}<`,
  ...args.flatMap((arg, i) => (i === 0 ? [arg] : [", ", arg])),
  ">;"
]

const union = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "never" : names.map((name) => JSON.stringify(name)).join(" | ")
