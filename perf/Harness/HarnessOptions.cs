namespace IlgpuLoader.Harness;

/// <summary>What is measured, and on which data.</summary>
/// <param name="DataFolder">Where made-up checkpoints are kept between runs.</param>
/// <param name="Rounds">Interleaved pairs.</param>
/// <param name="Gibibytes">The size of the checkpoint that loads are measured with.</param>
/// <param name="Log">Progress.</param>
internal sealed record HarnessOptions(string DataFolder, int Rounds, int Gibibytes, TextWriter Log);
