namespace IlgpuLoader.Loading;

/// <summary>What a repository of the Hub holds.</summary>
public enum HubRepositoryKind
{
    /// <summary>A model.</summary>
    Model,

    /// <summary>A data set.</summary>
    Dataset,

    /// <summary>An application.</summary>
    Space,
}
