import { runService } from '../../libs/service/run-service.ts';
import { createRegistry } from './service.ts';

runService({ name: 'hivebus-registry', grpcPort: 7701, create: createRegistry });
