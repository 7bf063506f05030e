import Bluetooth

extension Checkup {
    /// The radio, where the hub is to have one: adapter, kernel, rights, rfkill, bluetoothd and firmware told apart.
    static func bluetooth(_ configuration: Configuration.Bluetooth) -> [Checkup] {
        guard configuration.isEnabled else { return [] }
        // The daemon's rights are what counts; this command has its own only for a daemon that is not there.
        let daemon = AdapterFacts.daemon()
        let facts = AdapterFacts.read(process: daemon)
        return bluetooth(facts.findings(wanting: configuration.adapters, rightsOf: daemon == nil ? .command : .daemon))
    }

    static func bluetooth(_ findings: [AdapterFacts.Finding]) -> [Checkup] {
        findings.map { finding in
            let outcome: Outcome =
                switch finding.grade {
                case .ok: .ok
                case .warning: .warning
                case .failed: .failed
                }
            return Checkup(finding.check.rawValue, outcome, finding.reason, finding.remedy)
        }
    }
}
