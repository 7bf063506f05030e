import ExactJSON

extension Model {
    static func pairing(_ section: Section, transport: Transport, allowsUnencryptedLink: Bool) -> Pairing {
        let method: Pairing.Method = section.word("method") ?? .justWorks
        let capability: Pairing.IOCapability? = section.word("io_capability")
        let pinHint = section.string("pin_hint", expected: "where the digits stand, in quotes")
        let instructions = section.string("instructions", expected: "what to press to make it pairable, in quotes")
        let proof = section.string("proof", expected: "what to press so that it comes back, in quotes")
        section.finish()

        if method == .pin, transport == .le {
            section.reject(
                "method", why: "a PIN is of Bluetooth Classic only",
                remedy: "Write transport = \"classic-serial\", or another method.")
        }
        if method == .pin, pinHint == nil {
            section.reject(
                "method", why: "nobody is told where the PIN stands", remedy: "Add pairing.pin_hint, such as \"on the label\".")
        }
        if pinHint != nil, method != .pin, method != .passkey {
            section.reject(
                "pin_hint", why: "the method \(method.rawValue) has no digits to enter",
                remedy: "Remove it, or change the method.")
        }
        if method == .none, !allowsUnencryptedLink {
            section.reject(
                "method", why: "without a key the link is not encrypted, and no reading would be taken from it",
                remedy: "Write another method, or allows_unencrypted_link = true.")
        }
        if let capability {
            if !capability.permits(method) {
                let words = Pairing.IOCapability.allCases.filter { $0.permits(method) }.map { "\"\($0.rawValue)\"" }
                section.reject(
                    "io_capability", why: "the method \(method.rawValue) cannot come about with it",
                    remedy: "Write \(words.joined(separator: " or ")), or remove the key.")
            } else if capability == .keyboardDisplay, transport == .classicSerial {
                section.reject(
                    "io_capability", why: "Bluetooth Classic does not know it", remedy: "Write another, or remove the key.")
            }
        }
        return Pairing(
            method: method, ioCapability: capability ?? .standard(for: method, over: transport), pinHint: pinHint,
            instructions: instructions, proof: proof)
    }

    static func connection(_ section: Section) -> Connection {
        let standard = Connection()
        let connection = Connection(
            intervalMinimum: interval(section, "interval_min_ms") ?? standard.intervalMinimum,
            intervalMaximum: interval(section, "interval_max_ms") ?? standard.intervalMaximum,
            latency: section.integer("latency", in: 0...499, unit: "connection events").map { UInt16($0) } ?? standard.latency,
            supervisionTimeout: timeout(section, "supervision_timeout_ms") ?? standard.supervisionTimeout)
        section.finish()
        if connection.intervalMaximum < connection.intervalMinimum {
            section.reject(
                section.has("interval_max_ms") ? "interval_max_ms" : "interval_min_ms",
                why: "the longest interval is below the shortest",
                remedy: "Write interval_min_ms not above interval_max_ms (defaults: 15 and 30).")
        }
        if !connection.isTimeoutLongEnough {
            section.reject(
                section.has("supervision_timeout_ms")
                    ? "supervision_timeout_ms" : section.has("latency") ? "latency" : "interval_max_ms",
                why: "the timeout is not above (1 + latency) * interval_max_ms * 2, so a device that may sleep would be lost",
                remedy: "Lengthen supervision_timeout_ms, or shorten the interval or the latency.")
        }
        return connection
    }

    /// In steps of 1.25 ms.
    private static func interval(_ section: Section, _ key: String) -> UInt16? {
        guard let milliseconds = section.decimal(key) else { return nil }
        let steps = (6...3_200 as ClosedRange<UInt16>).first {
            ExactDecimal(mantissa: Int64($0) * 125, exponent: -2).isNumericallyEqual(to: milliseconds)
        }
        if steps == nil {
            section.reject(
                key, why: "no interval of a connection",
                remedy: "Write milliseconds from 7.5 to 4000 in steps of 1.25, such as 15 or 48.75.")
        }
        return steps
    }

    /// In steps of 10 ms.
    private static func timeout(_ section: Section, _ key: String) -> UInt16? {
        guard let milliseconds = section.integer(key, in: 100...32_000, unit: "milliseconds") else { return nil }
        guard milliseconds.isMultiple(of: 10) else {
            section.reject(
                key, why: "it is no multiple of 10", remedy: "Write \(milliseconds / 10 * 10) or \(milliseconds / 10 * 10 + 10).")
            return nil
        }
        return UInt16(milliseconds / 10)
    }
}
