namespace IlgpuLoader.Loading;

/// <summary>What a model is for: some tasks change its head.</summary>
public enum ModelTask
{
    /// <summary>Generating text: the model as it is.</summary>
    Generate,

    /// <summary>Embedding text: the model without its output head.</summary>
    Embed,

    /// <summary>
    /// Classifying text. The model stays as it is: whether it is a cross-encoder is asked of the model itself, so it cannot be made one here.
    /// </summary>
    Classify,

    /// <summary>Rewarding text: the model with a score head in place of its output head.</summary>
    Reward,
}
