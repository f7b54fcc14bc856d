import {
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { DESCRIPTORS } from '../wire/descriptors.ts';

let registry: FileRegistry | undefined;

/** The FileDescriptorSet of everything in proto/. */
const descriptorSet = () => fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTORS, 'base64'));

/** Every file in proto/, and those that they import, each as the bytes of a FileDescriptorProto. */
export const fileDescriptors = (): Buffer[] =>
  descriptorSet().file.map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file)));

function registryOfAll(): FileRegistry {
  registry ??= createFileRegistry(descriptorSet());
  return registry;
}

/** By full name, e.g. `hivebus.registry.v1.Swarm`. */
export function messageDescriptor(typeName: string): DescMessage {
  const found = registryOfAll().getMessage(typeName);
  if (!found) throw new Error(`no message ${typeName} in proto/`);
  return found;
}

/** By gRPC path, e.g. `/hivebus.registry.v1.RegistryService/ListSwarms`. */
export function methodDescriptor(path: string): DescMethod {
  const [, service, method] = path.split('/');
  const found = registryOfAll()
    .getService(service ?? '')
    ?.methods.find((each) => each.name === method);
  if (!found) throw new Error(`no method ${path} in proto/`);
  return found;
}
