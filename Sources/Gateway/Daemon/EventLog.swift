import Courier
import Intake
import Logging
import Steward

/// Turns what intake and courier report into log records. The messages are what scripts and the demo look for: they stay.
enum EventLog {
    static func note(_ event: IntakeEvent, _ logger: Logger) {
        switch event {
        case .connected(let device): logger.note(.info, "device connected", .device(device))
        case .enrolled(let device): logger.note(.notice, "device enrolled", .device(device))
        case .identified(let device): logger.note(.debug, "device identified", .device(device))
        case .subscribed(let device, let characteristic):
            logger.note(.debug, "device subscribed", .device(device), .reason(characteristic))
        case .frame(let device, let bytes): logger.note(.debug, "frame received", .device(device), .bytes(bytes))
        case .committed(let device, let subject, let state, let took):
            logger.note(
                .info, "frame committed", .device(device), .reading(subject), .state(state.name),
                .reason(state.holdReason?.rawValue ?? "-"), .microseconds(took))
        case .kept(let device, let reason): logger.note(.info, "frame kept", .device(device), .reason(reason))
        case .confirmed(let device): logger.note(.info, "word sent", .device(device))
        case .suppressed(let device): logger.note(.info, "duplicate suppressed", .device(device))
        case .commitRefused(let device, let reason, _):
            logger.note(.error, "commit refused", .device(device), .reason(reason))
        case .clockRead(let device, let ahead):
            logger.note(
                .info, "device clock read", .device(device),
                .reason(ahead.map { "hub ahead by \($0.milliseconds / 1000) s" } ?? "unset"))
        case .clockSet(let device): logger.note(.info, "device clock set", .device(device))
        case .battery(let device, let percent): logger.note(.debug, "device battery", .device(device), .count(percent))
        case .note(let device, let text): logger.note(.debug, "device note", .device(device), .reason(text))
        case .ended(let device, let readings, let reason):
            logger.note(.info, "device disconnected", .device(device), .count(readings), .reason(reason))
        }
    }

    static func note(_ event: CourierEvent, _ logger: Logger) {
        switch event {
        case .delivered(let subjects, let receiver, let since):
            for subject in subjects {
                if let since {
                    logger.note(.info, "item delivered", .reading(subject), .receiver(receiver), .duration(since))
                } else {
                    logger.note(.info, "item delivered", .reading(subject), .receiver(receiver))
                }
            }
        case .quarantined(let subjects, let receiver, let code):
            for subject in subjects {
                logger.note(.warning, "item quarantined", .reading(subject), .receiver(receiver), .reason(code))
            }
        case .uncertain(let subjects, let receiver):
            for subject in subjects { logger.note(.warning, "item uncertain", .reading(subject), .receiver(receiver)) }
        case .unasked(let subjects, let receiver, let reason):
            for subject in subjects {
                logger.note(.info, "item held", .reading(subject), .receiver(receiver), .reason(reason))
            }
        case .withdrawn(let subjects, let receiver, let reason):
            for subject in subjects {
                logger.note(.notice, "item withdrawn", .reading(subject), .receiver(receiver), .reason(reason))
            }
        case .failed(let channel, let kind): logger.note(.notice, "channel waits", .channel(channel), .reason(kind))
        case .held(let channel, let code, let reason):
            logger.note(.warning, "channel held", .channel(channel), .condition(code), .reason(reason))
        case .journalFailed(let channel, let reason):
            logger.note(.error, "journal failed the courier", .channel(channel), .reason(reason))
        }
    }
}

extension IntakeEvent {
    /// Whether something may now be ready to leave.
    var isWork: Bool {
        switch self {
        case .committed, .clockRead, .clockSet, .ended: true
        default: false
        }
    }
}
