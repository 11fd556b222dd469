"""An index in Milvus, in a cluster or in a file of Milvus Lite; the only importer of pymilvus.

    NAME                 an alias of the collection in use
    NAME_3f2a…           passages: their vectors, words as sparse vectors, sentences, token vectors
    NAME_3f2a…_documents what is known of each document but its text, and the manifest
    NAME_3f2a…_texts     the documents' texts, in pieces
    NAME_3f2a…_words     in how many passages each word stands

A generation is built in a folder of this machine as any other, and then copied. Its name is made of
its manifest, so that copying goes on where it was stopped; the alias is moved last, so that every
question is answered from a whole generation.
"""

from rag.milvus.home import MilvusHome

__all__ = ["MilvusHome"]
