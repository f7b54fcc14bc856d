import { runService } from '../../libs/service/run-service.ts';
import { createResourcePool } from './service.ts';

runService({ name: 'hivebus-resource-pool', grpcPort: 7702, create: createResourcePool });
