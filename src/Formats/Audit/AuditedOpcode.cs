namespace IlgpuLoader.Formats;

/// <summary>An opcode that no checkpoint needs, and that could hide what is imported.</summary>
/// <param name="Name">Its name in <c>pickletools</c>, such as <c>INST</c>.</param>
/// <param name="Offset">Where it is, in bytes from the start of the pickle.</param>
public sealed record AuditedOpcode(string Name, long Offset);
