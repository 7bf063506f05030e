extension AdapterFacts {
    /// One thing about the adapter that was looked at: well or not, why, and what to do.
    public struct Finding: Hashable, Sendable {
        public enum Check: String, Hashable, Sendable, CaseIterable {
            case adapter
            case kernel = "bluetooth-kernel"
            case permission = "bluetooth-permission"
            case capture = "bluetooth-capture"
            case rfkill
            case bluetoothd
            case firmware
        }

        public enum Grade: Hashable, Sendable { case ok, warning, failed }

        public var check: Check
        public var grade: Grade
        public var reason: String
        public var remedy: String?

        init(_ check: Check, _ grade: Grade, _ reason: String, _ remedy: String? = nil) {
            self.check = check
            self.grade = grade
            self.reason = reason
            self.remedy = remedy
        }

        init(_ check: Check, _ obstacle: Obstacle) {
            self.init(check, .failed, obstacle.what + " " + obstacle.why, obstacle.remedy)
        }
    }

    /// Whose ``rights`` were read.
    public enum Subject: Hashable, Sendable {
        case daemon
        /// The command that looks, for the daemon is not running.
        case command
    }

    /// Every check of ``Finding/Check``, once and in their order.
    public func findings(wanting wanted: [String] = [], rightsOf subject: Subject = .daemon) -> [Finding] {
        let obstacles = obstacles(wanting: wanted)
        return Finding.Check.allCases.map { check in
            switch check {
            case .adapter: adapterFinding(obstacles, wanted)
            case .kernel: kernelFinding(obstacles)
            case .permission: permissionFinding(obstacles, subject)
            case .capture: captureFinding(subject)
            case .rfkill: rfkillFinding(obstacles)
            case .bluetoothd: bluetoothdFinding()
            case .firmware: firmwareFinding(obstacles)
            }
        }
    }

    private func adapterFinding(_ obstacles: [Obstacle], _ wanted: [String]) -> Finding {
        for obstacle in obstacles {
            switch obstacle {
            case .noAdapter, .noDriver, .wantedNotThere: return Finding(.adapter, obstacle)
            default: continue
            }
        }
        guard !adapters.isEmpty else {
            return Finding(.adapter, .failed, "none can be seen, for a reason that stands below", obstacles.first?.remedy)
        }
        let meant = wantedAdapters(wanted)
        let names = (meant.isEmpty ? adapters : meant).map(\.description).joined(separator: "; ")
        let others = meant.isEmpty ? 0 : adapters.count - meant.count
        return Finding(.adapter, .ok, names + (others > 0 ? "; \(others) more, not ours by the configuration" : ""))
    }

    private func kernelFinding(_ obstacles: [Obstacle]) -> Finding {
        for obstacle in obstacles {
            switch obstacle {
            case .notInKernel, .familyForbidden, .socketRefused: return Finding(.kernel, obstacle)
            default: continue
            }
        }
        let update = "Update the kernel (Debian: apt-get install linux-image-amd64) and restart the hub."
        if kernel.hasDied {
            return Finding(
                .kernel, .warning, "the kernel took a fault since the machine started (journalctl -k shows it)", update)
        }
        if kernel.freesLinksTwice {
            return Finding(
                .kernel, .warning,
                "this kernel (6.1.187 to 6.1.192) can take a fault when a device leaves before it has said anything",
                "The hub lives with it. " + update)
        }
        return Finding(.kernel, .ok, "the kernel speaks Bluetooth")
    }

    private func permissionFinding(_ obstacles: [Obstacle], _ subject: Subject) -> Finding {
        let name = Rights.Capability.netAdmin.name
        switch (subject, rights.has(.netAdmin)) {
        case (.daemon, true): return Finding(.permission, .ok, "the daemon has \(name)")
        case (.daemon, false): return Finding(.permission, Obstacle.rightMissing(.netAdmin))
        case (.command, true): return Finding(.permission, .ok, "this command has \(name); the daemon is not running")
        case (.command, false):
            return Finding(
                .permission, .warning, "the daemon is not running, and this command does not have \(name)",
                "Start the daemon (systemctl start vitalgate) and ask again: its unit gives it \(name).")
        }
    }

    /// The hub works without this right, and its unit does not give it: only a technician's capture of the radio needs it.
    private func captureFinding(_ subject: Subject) -> Finding {
        let name = Rights.Capability.netRaw.name
        let who = subject == .daemon ? "the daemon" : "the daemon is not running; this command"
        return rights.has(.netRaw)
            ? Finding(.capture, .ok, "\(who) has \(name): it can record the radio for a technician")
            : Finding(.capture, .ok, "\(who) does not have \(name), which only a capture of the radio needs")
    }

    private func rfkillFinding(_ obstacles: [Obstacle]) -> Finding {
        for obstacle in obstacles {
            switch obstacle {
            case .hardBlocked, .softBlocked: return Finding(.rfkill, obstacle)
            default: continue
            }
        }
        let blocked = switches.filter(\.isBlocked)
        guard blocked.isEmpty else {
            let names = blocked.map { "rfkill\($0.index) (\($0.name))" }.joined(separator: ", ")
            return Finding(
                .rfkill, .warning, "\(names) is blocked, and another adapter is free",
                "rfkill list shows which; rfkill unblock bluetooth.")
        }
        return Finding(.rfkill, .ok, switches.isEmpty ? "no switch for Bluetooth" : "not blocked")
    }

    private func bluetoothdFinding() -> Finding {
        if bluetoothd.isRunning { return Finding(.bluetoothd, Obstacle.bluetoothdRunning) }
        if bluetoothd.isInstalled, !bluetoothd.isMasked {
            return Finding(
                .bluetoothd, .warning, "not running, and udev starts it whenever an adapter appears",
                "Keep it away: vitalgate adapter claim.")
        }
        return Finding(.bluetoothd, .ok, bluetoothd.isMasked ? "masked: the adapter is ours" : "not installed")
    }

    private func firmwareFinding(_ obstacles: [Obstacle]) -> Finding {
        for obstacle in obstacles {
            if case .firmwareMissing = obstacle { return Finding(.firmware, obstacle) }
        }
        switch kernelLog {
        case .unreadable(let why):
            return Finding(
                .firmware, .warning, "not known: the kernel's log may not be read (\(why))",
                "Run vitalgate doctor as root, or look into journalctl -k yourself.")
        case .read(let failures):
            guard let failure = failures.last else {
                return Finding(.firmware, .ok, "the kernel's log says of none that it is missing")
            }
            return Finding(
                .firmware, .warning,
                "\(failure.adapter) asked for \(failure.file ?? "a file") and did not get it; it may work without, or found another",
                "If connecting goes badly, install its package (\(Obstacle.package(of: failure.file))).")
        }
    }
}
