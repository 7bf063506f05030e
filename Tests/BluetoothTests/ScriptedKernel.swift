import Bluetooth
import Protocols
import Vitals

/// A kernel that answers as it is told: what the machine sends is written down, and each command that waits for an answer gets one.
struct ScriptedKernel {
    static let address = DeviceAddress("00:AA:01:00:00:42/public")

    var machine: AdapterMachine
    /// Answers other than success.
    var refusals: [ManagementOpcode: ManagementStatus] = [:]
    /// Commands that get no answer at all.
    var silent: Set<ManagementOpcode> = [.pair]
    var supported: ControllerSettings = [.powered, .lowEnergy, .classic, .secureSimplePairing, .secureConnections]
    var current: ControllerSettings = []
    private(set) var sent: [ManagementCommand] = []
    private(set) var reports: [AdapterMachine.Report] = []
    private(set) var wake: MonotonicTime?
    var now = MonotonicTime(milliseconds: 1_000)

    init(allowed: Set<String> = []) { machine = AdapterMachine(index: 0, allowed: allowed) }

    var opcodes: [ManagementOpcode] { sent.map(\.opcode) }

    mutating func forget() {
        sent.removeAll()
        reports.removeAll()
        wake = nil
    }

    mutating func take(_ actions: [AdapterMachine.Action]) {
        for action in actions {
            switch action {
            case .report(let report): reports.append(report)
            case .wake(let at): wake = at
            case .send(let command):
                sent.append(command)
                guard !silent.contains(command.opcode) else { continue }
                answer(command)
            }
        }
    }

    private mutating func answer(_ command: ManagementCommand) {
        let status = refusals[command.opcode] ?? .success
        var parameters: [UInt8] = []
        if command.opcode == .readControllerInfo, let address = Self.address {
            parameters =
                ControllerInfo(
                    address: address, version: 9, manufacturer: 1_521, supportedSettings: supported, currentSettings: current
                ).bytes
        }
        tell(.commandComplete(index: 0, opcode: command.opcode.rawValue, status: status, parameters: parameters))
    }

    mutating func tell(_ event: ManagementEvent) { take(machine.receive(event, at: now)) }
    mutating func start() { take(machine.restart(at: now)) }
    mutating func pass(_ duration: Duration) {
        now = now + duration
        take(machine.timer(at: now))
    }
}
