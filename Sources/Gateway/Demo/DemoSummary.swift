import ExactJSON

/// How a demo ended; the keys of its JSON are what scripts rely on.
struct DemoSummary {
    /// Acts.
    var readings = 0
    var delivered = 0
    var suppressed = 0
    var quarantined = 0
    var held = 0
    var lost = 0
    var doubled = 0
    var isAsScripted = false

    func json(_ stage: DemoStage) -> JSON {
        [
            "readings": .integer(readings), "delivered": .integer(delivered), "duplicatesSuppressed": .integer(suppressed),
            "quarantined": .integer(quarantined), "held": .integer(held), "lost": .integer(lost), "doubled": .integer(doubled),
            "asScripted": .bool(isAsScripted),
            "latencyMilliseconds": [
                "commit": stage.percentiles(stage.commits.sorted(), exponent: -3),
                "delivered": stage.percentiles(stage.deliveries.sorted(), exponent: 0),
            ],
        ]
    }

    var text: String {
        """

        \(readings) readings: \(delivered) delivered, \(quarantined) quarantined, \(held) held; \(suppressed) repeats suppressed
        \(lost) lost, \(doubled) doubled
        """
    }
}
