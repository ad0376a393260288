namespace IlgpuLoader.Formats;

/// <summary>How often a pickle has an opcode.</summary>
/// <param name="Name">Its name in <c>pickletools</c>.</param>
/// <param name="Count">How often, at least once.</param>
public sealed record OpcodeCount(string Name, long Count);
