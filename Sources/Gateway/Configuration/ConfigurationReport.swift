import Catalogue
public import ExactJSON
import Vitals

extension Configuration.Reading {
    /// For `vitalgate config check --json`.
    public var json: JSON {
        .members([
            "ok": .bool(errors.isEmpty), "errors": .integer(errors.count), "warnings": .integer(problems.count - errors.count),
            "problems": .array(problems.map(\.json)), "configuration": configuration?.json ?? .null,
        ])
    }
}

extension Configuration {
    /// What was understood. It names where secrets are, never what they are.
    public var json: JSON {
        .members([
            "hub": .members([
                "stateDirectory": .string(hub.stateDirectory), "controlSocket": .string(hub.controlSocket),
                "systemID": hub.systemID.map { .string($0.hex) }, "devicesDirectory": hub.devicesDirectory.map { .string($0) },
            ]),
            "keys": .string(keys.description),
            "storage": .members([
                "ballastMegabytes": .integer(storage.ballastMegabytes), "lowMegabytes": .integer(storage.lowMegabytes),
                "fullMegabytes": .integer(storage.fullMegabytes),
                "retentionDeliveredDays": .integer(storage.retentionDeliveredDays),
                "maxPages": storage.maximumPages.map { .integer($0) },
            ]),
            "clock": .members([
                "declared": .bool(clock.isDeclared), "httpsDates": .bool(clock.usesHTTPSDates),
                "unsynchronisedMinutes": .integer(clock.unsynchronisedMinutes), "script": clock.script.map { .string($0) },
            ]),
            "programme": .members([
                "absentConsent": .string(programme.absentConsent.rawValue),
                "verificationMinutes": .integer(programme.verificationMinutes), "guestMinutes": .integer(programme.guestMinutes),
                "bounds": .array(
                    programme.bounds.map {
                        .members([
                            "quantity": .string($0.name.rawValue), "unit": .string($0.unit.rawValue), "low": .number($0.low),
                            "high": .number($0.high),
                        ])
                    }),
            ]),
            "bluetooth": .members([
                "enabled": .bool(bluetooth.isEnabled), "adapters": .array(bluetooth.adapters.map { .string($0) }),
            ]),
            "receivers": .array(receivers.map(\.json)),
            "relay": relay.map { relay in
                .members([
                    "socket": .string(relay.socket),
                    "hubs": .array(
                        relay.hubs.map { hub in
                            .members([
                                "name": .string(hub.name), "recipients": .array(hub.recipients.map { .string($0) }),
                                "silentMinutes": .integer(hub.silentMinutes),
                            ])
                        }),
                ])
            },
            "devices": .array(
                devices.map {
                    .members(["name": .string($0.name), "model": .string($0.model.id), "bearer": .string($0.bearer.description)])
                }),
            "log": .members(["level": .string(log.level.rawValue), "format": .string(log.format.rawValue)]),
        ])
    }

    /// What was understood, one line each.
    public var summary: [String] {
        var lines = [
            "state      \(hub.stateDirectory)", "control    \(hub.controlSocket)",
            "key        \(keys.description)",
            "storage    low below \(storage.lowMegabytes) MB, full below \(storage.fullMegabytes) MB, delivered kept "
                + "\(storage.retentionDeliveredDays) days",
            "consent    absent: \(programme.absentConsent.rawValue)",
        ]
        lines += programme.bounds.map { "bound      \($0.name.rawValue) \($0.low) to \($0.high) \($0.unit.rawValue)" }
        lines.append("bluetooth  \(bluetooth.description)")
        lines += receivers.map {
            "receiver   \($0.name): \($0.kind.rawValue)\($0.kind == .phd ? " " + $0.profile.rawValue : "") at \($0.base), "
                + ($0.fut?.description ?? $0.norway?.description ?? $0.authentication.description)
        }
        lines += devices.map { "device     \($0.name): \($0.model.id) at \($0.bearer.description)" }
        if let relay {
            lines.append("relay      for \(relay.hubs.count) hubs at \(relay.socket)")
        }
        if receivers.isEmpty { lines.append("receiver   none: readings are kept and wait") }
        return lines
    }
}

extension Configuration.Bluetooth: CustomStringConvertible {
    public var description: String {
        guard isEnabled else { return "off: devices on sockets only" }
        return adapters.isEmpty ? "every adapter" : adapters.joined(separator: ", ")
    }
}

extension Configuration.Keys: CustomStringConvertible {
    public var description: String {
        switch self {
        case .credential(let name): "credential \(name)"
        case .file(let path): "file \(path)"
        }
    }
}

extension Configuration.Receiver.Authentication: CustomStringConvertible {
    public var description: String {
        switch self {
        case .none: "no token"
        case .bearer(let file): "token from \(file)"
        }
    }
}

extension Configuration.Receiver.FUT: CustomStringConvertible {
    public var description: String { "citizens sign in at \(issuer) by \(way.rawValue)" }
}

extension Configuration.Receiver.Norway: CustomStringConvertible {
    public var description: String {
        if case .vkp(nil) = service { return "journaling switched off" }
        let key = helseID.keyFile.map { "key from \($0)" } ?? "key of the hub's own"
        return "client \(helseID.client) at \(helseID.issuer), \(helseID.algorithm.rawValue), \(key)"
    }

    var json: JSON {
        .members([
            "issuer": .string(helseID.issuer), "client": .string(helseID.client),
            "scopes": .array(helseID.scopes.map { .string($0) }), "algorithm": .string(helseID.algorithm.rawValue),
            "token": .string(helseID.token.rawValue), "assertionDetails": helseID.organisation.assertionDetails,
            "assertionSeconds": .integer(helseID.assertionSeconds), "keyFile": helseID.keyFile.map { .string($0) },
            "keyHolder": .string(helseID.holder.rawValue), "caFile": helseID.caFile.map { .string($0) },
        ])
    }
}

extension Configuration.Receiver.Norway.Service {
    var json: JSON {
        switch self {
        case .pmd(let pmd):
            .members([
                "bundle": .string(pmd.form.rawValue), "method": .string(pmd.method.rawValue),
                "profiles": .string(pmd.family.rawValue), "hospitalProfiles": .bool(pmd.claimsNoDomain),
                "status": .string(pmd.status.rawValue), "municipality": pmd.municipality.map { .string($0) },
                "personHeader": .bool(pmd.sendsPersonHeader),
            ])
        case .vkp(let vkp):
            .members([
                "journals": .bool(vkp != nil), "organisation": vkp.map { .string($0.organisation.digits) },
                "author": vkp.map { .string($0.author.name) }, "serviceCodes": vkp.map { .string($0.serviceCodes) },
                "searches": vkp.map { .bool($0.searches) }, "notReported": vkp.map { .bool($0.saysNotReported) },
            ])
        }
    }
}

extension Configuration.Device.Bearer: CustomStringConvertible {
    public var description: String {
        switch self {
        case .socket(let path): "socket:\(path)"
        case .address(let address): "bluetooth:\(address)"
        }
    }
}

extension Configuration.Receiver {
    var json: JSON {
        .members([
            "name": .string(name), "kind": .string(kind.rawValue), "base": .string(base), "profile": .string(profile.rawValue),
            "authentication": .string(authentication.description), "caFile": caFile.map { .string($0) },
            "certificateFile": certificate.map { .string($0.certificateFile) }, "proxy": proxy.map { .string($0) },
            "timeouts": .members([
                "connectSeconds": .integer(timeouts.connect), "answerSeconds": .integer(timeouts.answer),
                "totalSeconds": .integer(timeouts.total), "settleSeconds": .integer(timeouts.settle),
            ]),
            "unknownOutcome": .string(unknownOutcome.rawValue), "order": .string(order.rawValue),
            "maximumActs": .integer(maximumActs), "heartbeatMinutes": heartbeatMinutes.map { .integer($0) },
            "signIn": fut.map { fut in
                .members([
                    "issuer": .string(fut.issuer), "client": .string(fut.client), "way": .string(fut.way.rawValue),
                    "redirect": fut.redirect.map { .string($0) }, "idleDays": .integer(fut.idleDays),
                    "maximumDays": fut.maximumDays.map { .integer($0) }, "codesFile": fut.codesFile.map { .string($0) },
                    "retraction": .string(fut.retraction.rawValue),
                ])
            },
            "helseid": norway?.json, "service": norway?.service.json,
            "rounding": .array(
                rounding.map {
                    .members([
                        "unit": .string($0.unit.rawValue), "converted": $0.converted.map { .integer($0) },
                        "sent": $0.sent.map { .integer($0) },
                    ])
                }),
        ])
    }
}
