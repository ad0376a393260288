namespace IlgpuLoader.Formats;

/// <summary>What trainers leave beside the weights, in files that look like weights.</summary>
internal static class TrainerFiles
{
    // Optimiser and scheduler states and arguments, as transformers' Trainer names them; vLLM skips the same list, by the ends of names.
    private static readonly string[] Endings = ["training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"];

    /// <summary>Whether a file is of no use for inference, by the end of its name.</summary>
    public static bool Contain(string name) => Array.Exists(Endings, ending => name.EndsWith(ending, StringComparison.Ordinal));
}
