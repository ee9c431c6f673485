SELECT queue FROM pauses
