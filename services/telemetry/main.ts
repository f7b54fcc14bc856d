import { runService } from '../../libs/service/run-service.ts';
import { createTelemetry } from './service.ts';

runService({ name: 'hivebus-telemetry', grpcPort: 7706, create: createTelemetry });
